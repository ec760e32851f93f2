"""Tries to get out: to every address that is known to be alive, to what is near, over IPv4, IPv6 and DNS.

A probe that is refused has got through: a refusal is an answer. Only silence and "no route" count as closed.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import struct
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, ip_address
from pathlib import Path
from typing import Literal

METADATA = ("169.254.169.254:80", "[fd00:ec2::254]:80")
"""Addresses where clouds serve a node's credentials to whoever asks from the node."""
PUBLIC = ("1.1.1.1:443", "8.8.8.8:53", "[2606:4700:4700::1111]:443")
"""Resolvers that answer everywhere: were there any way to the internet, they would be reached."""
PUBLIC_UDP = ("8.8.8.8:53", "1.1.1.1:443", "8.8.8.8:123")
"""DNS, QUIC and NTP: ports that firewalls tend to leave open."""
NEAR_PORTS = (22, 53, 443, 6443, 10250)
"""Ports of a node that are worth an attack: ssh, DNS, an ingress, the API server and the kubelet."""
_DNS_QUERY = struct.pack(">HHHHHH", 0x4332, 0x0100, 1, 0, 0, 0) + b"\x03c2d\x07invalid\x00\x00\x01\x00\x01"
"""A query for ``c2d.invalid``, a name that by RFC 2606 never exists: any server answers it, if only with
NXDOMAIN."""
_ECHO = struct.pack(">BBHHH", 8, 0, 0xF7FF, 0, 0)
"""An ICMP echo request; the kernel fills in what concerns the socket."""
_SOCKETS = {
    "tcp": (socket.SOCK_STREAM,),
    "udp": (socket.SOCK_DGRAM,),
    "icmp": (socket.SOCK_DGRAM, socket.IPPROTO_ICMP),
}
"""Kinds of sockets that need no privilege; ICMP over a datagram socket is Linux's own
(``ping_group_range``)."""
_NO_ROUTE = frozenset(
    {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.ENETDOWN}
    | {errno.EPERM, errno.EACCES, errno.ENODEV, errno.EINVAL}
)
"""Errors with which the kernel says that it has sent nothing, or was told that there is no way."""

Kind = Literal["tcp", "udp", "icmp"]
"""The protocol of a probe."""


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """One try and its outcome."""

    target: str
    kind: Kind
    closed: bool
    seen: str


def targets(configured: Iterable[str], proc: Path = Path("/proc/net")) -> list[tuple[str, Kind]]:
    """Return the configured addresses, and those that any pod on any node should try."""
    # No name is resolved: the pod has no resolver, and a name that does not resolve would look closed.
    near, given = _near_gateways(proc), [*configured]
    tcp = [
        *given,
        *METADATA,
        *PUBLIC,
        *(f"{host}:{port}" for host in near for port in NEAR_PORTS),
        *_near_ipv6_gateways(proc),
    ]
    # Known addresses are tried over UDP and ICMP as well, since packet rules are written per protocol.
    udp = [address for known in given if not known.startswith("[") for address in _datagram_addresses(known)]
    udp += [f"{host}:{port}" for host in near for port in (53, 123)]
    pinged = [f"{_host_of(known)}:0" for known in given if not known.startswith("[")]
    pinged += [f"{host}:0" for host in (*near, "8.8.8.8")]
    kinds: dict[Kind, list[str]] = {"tcp": tcp, "udp": [*udp, *PUBLIC_UDP], "icmp": pinged}
    # Each once: a gateway may be a configured target as well.
    return [(address, kind) for kind, all_ in kinds.items() for address in dict.fromkeys(all_)]


def ways_to(address: str) -> list[tuple[str, Kind]]:
    """Return every way to one address that is known to be alive."""
    kinds: list[tuple[str, Kind]] = [(address, "tcp")]
    if not address.startswith("["):
        kinds += [(entry, "udp") for entry in _datagram_addresses(address)]
        kinds.append((f"{_host_of(address)}:0", "icmp"))
    return kinds


def run(found: list[tuple[str, Kind]], timeout: float) -> list[ProbeResult]:
    """Run all probes at once; ``timeout`` in seconds is what silence takes."""
    if not found:
        return []
    # Together: silence takes the whole timeout, so one after the other would take minutes.
    with ThreadPoolExecutor(min(128, len(found))) as pool:
        return list(pool.map(lambda entry: probe_address(entry[0], entry[1], timeout), found))


def probe_address(target: str, kind: Kind, timeout: float) -> ProbeResult:
    """Try one address and return what came of it. Over TCP a connection is an answer; over UDP and ICMP
    nothing says that a packet arrived, so something is sent to which a reply is due."""
    host, _, port = target.rpartition(":")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, *_SOCKETS[kind]) as tried:
            tried.settimeout(timeout)
            # AI_NUMERICHOST: an address with a zone (``fe80::1%eth0``) is parsed, and nothing is ever
            # resolved.
            address = socket.getaddrinfo(host, int(port), family, flags=socket.AI_NUMERICHOST)[0][4]
            tried.connect(address)
            # ``connect`` on a datagram socket makes an ICMP refusal arrive as ECONNREFUSED, which counts as
            # an answer.
            if kind != "tcp":
                tried.send(_DNS_QUERY if kind == "udp" else _ECHO)
                tried.recv(512)
            return ProbeResult(target, kind, False, "answered")
    except TimeoutError:
        return ProbeResult(target, kind, True, "silence")
    except OSError as error:
        name = errno.errorcode.get(error.errno or 0, type(error).__name__)
        # gaierror: a host that the kernel cannot express, such as a zone of an interface that is not there.
        return ProbeResult(target, kind, error.errno in _NO_ROUTE or isinstance(error, socket.gaierror), name)


def _host_of(address: str) -> str:
    """Return the host of ``host:port``."""
    return address.rpartition(":")[0]


def _datagram_addresses(address: str) -> list[str]:
    """Return the UDP ports to try. A port of UDP that nobody listens on answers too, by ICMP: the way there
    is open."""
    host, _, port = address.rpartition(":")
    return list(dict.fromkeys([f"{host}:53", f"{host}:{port}"]))


def _near_gateways(proc: Path) -> list[IPv4Address]:
    """Return the gateway, and the first address of each network on the link: where a bridge's host
    side sits."""
    hosts: set[IPv4Address] = set()
    with contextlib.suppress(OSError):
        for line in (proc / "route").read_text().splitlines()[1:]:
            fields = line.split()
            # Columns of /proc/net/route: destination, gateway and mask, as hexadecimal in the host's byte
            # order.
            network, gateway, mask = (_little_endian(fields[at]) for at in (1, 2, 7))
            if int(gateway):
                hosts.add(gateway)
            # A mask of zero is the default route: its network has no first address.
            elif int(mask):
                hosts.add(IPv4Network((network, str(mask)), strict=False).network_address + 1)
    own = _own_addresses()
    return sorted(hosts - own)


def _near_ipv6_gateways(proc: Path) -> list[str]:
    """Return the usual link-local addresses of a gateway, for each interface that has IPv6 at all."""
    names: set[str] = set()
    with contextlib.suppress(OSError):
        for line in (proc / "if_inet6").read_text().splitlines():
            names.add(line.split()[-1])
    return [f"[fe80::1%{name}]:{port}" for name in sorted(names - {"lo"}) for port in (53, 6443, 10250)]


def _own_addresses() -> set[IPv4Address]:
    """Return the pod's own addresses: they are no way out. Kubernetes writes them into the pod's
    hosts file."""
    own: set[IPv4Address] = set()
    with contextlib.suppress(OSError):
        for line in Path("/etc/hosts").read_text().splitlines():
            if (fields := line.split()) and os.uname().nodename in fields[1:]:
                address = ip_address(fields[0])
                if isinstance(address, IPv4Address):
                    own.add(address)
    return own


def _little_endian(text: str) -> IPv4Address:
    """Return an address of /proc/net/route, which is written as the number that it is on a little-endian
    machine."""
    return IPv4Address(struct.unpack("<L", bytes.fromhex(text).rjust(4, b"\0"))[0].to_bytes(4, "big"))
