"""Sets up the node's links, addresses, routes and parameters, and the machine's end of the one link out.

Everything except that one end lives in the node's own network namespace and ends with it. The parameters set
here are per namespace too: the machine's own ``ip_forward`` and bridge settings are never touched, unless
egress is on.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from c2d_box.errors import Failed
from sandbox.clusters.layout import ClusterLayout
from sandbox.clusters.native.host.address_ranges import AddressRanges
from sandbox.clusters.native.host.firewall import PODS, PUBLISHING, STAGING, UNROUTED, UPLINK, nft_rules
from sandbox.clusters.native.record import NativeRecord

PARAMETERS = Path("/proc/sys/net")
"""Parameters of the network namespace of whoever opens them."""


def run_command(arguments: list[str], text: str | None = None) -> str:
    """Run ``ip`` or ``nft`` with ``text`` as input; return its output, raise ``C2D-NETWORK`` where it
    fails.
    """
    answer = subprocess.run(arguments, input=text, capture_output=True, text=True, check=False)
    if answer.returncode != 0:
        raise Failed(
            "C2D-NETWORK",
            f"`{' '.join(arguments)}` failed: {answer.stderr.strip()}",
            "Run `c2d-box doctor`; it names what the kernel or the machine lacks.",
        )
    return answer.stdout


def node_links(ranges: AddressRanges) -> str:
    """Return ``ip -batch`` text for the inside of the node's namespace, where :data:`UPLINK` already is.

    One batch for all: each start of ``ip`` costs some milliseconds of a boot of seconds.
    """
    lines = [
        "link set dev lo up",
        f"address add {ranges.node_ip}/30 dev {UPLINK}",
        f"link set dev {UPLINK} up",
    ]
    bridges = {
        # Where a bridge has an address, it is its pods' gateway; the algorithms' has none.
        PODS: f"{ranges.pods[1]}/{ranges.pods.prefixlen}",
        UNROUTED: "",
        STAGING: f"{ranges.staging[1]}/{ranges.staging.prefixlen}",
        PUBLISHING: f"{ranges.publishing[1]}/{ranges.publishing.prefixlen}",
    }
    for number, (bridge, address) in enumerate(bridges.items()):
        # A bridge without an address of its own takes its ports' lowest, which changes as pods come and go;
        # pods that remember the old one then lose their way to each other for ten seconds.
        own = f"02:c2:d0:00:00:{number:02x}"
        lines.append(f"link add name {bridge} address {own} type bridge mcast_snooping 0")
        if address:
            lines.append(f"address add {address} dev {bridge}")
        lines.append(f"link set dev {bridge} up")
    # Without a default route the kernel refuses an unknown address before kube-proxy's rules could rewrite
    # it.
    lines.append(f"route add {ranges.services} dev {PODS} src {ranges.dns_ip}")
    return "\n".join(lines) + "\n"


def prepare_parameters(ports_talk: bool) -> None:
    """Set the node's network parameters before any link exists: no IPv6 on this node, no redirects, routing
    on.

    ``ports_talk``: pods of one bridge reach each other without the node, so what crosses a bridge must pass
    its address translation too (only where isolation is off, for tests).
    """
    for kind in ("all", "default"):
        _set_parameter(f"ipv6/conf/{kind}/disable_ipv6", "1")
        _set_parameter(f"ipv4/conf/{kind}/send_redirects", "0")
        _set_parameter(f"ipv4/conf/{kind}/accept_redirects", "0")
        # Strict (RFC 3704): a packet whose source would be answered over another link is dropped, so a pod
        # cannot pose as one of another class.
        _set_parameter(f"ipv4/conf/{kind}/rp_filter", "1")
    _set_parameter("ipv4/ip_forward", "1")
    # Off: frames that cross a bridge would pass the IP rules twice. Missing where the kernel lacks
    # br_netfilter.
    for name in ("arptables", "iptables", "ip6tables"):
        _set_parameter(f"bridge/bridge-nf-call-{name}", "1" if ports_talk else "0")


def build_node(ranges: AddressRanges) -> None:
    """Make bridges, addresses and routes. Called in the node's namespace, once the link's end is in it."""
    run_command(["ip", "-batch", "-"], node_links(ranges))
    # Ports of the pod bridge are isolated: the node answers ARP for every pod and routes between them.
    _set_parameter(f"ipv4/conf/{PODS}/proxy_arp_pvlan", "1")
    # By default such an answer waits for up to 0.8 s, at random: in every first word between two services.
    _set_parameter(f"ipv4/neigh/{PODS}/proxy_delay", "0")
    # arp_ignore: 8 answers no question at all, 1 only for the asking link's own address: by default the node
    # would tell every pod of all its addresses.
    for bridge, policy in ((UNROUTED, "8"), (STAGING, "1"), (PUBLISHING, "1"), (PODS, "1")):
        _set_parameter(f"ipv4/conf/{bridge}/arp_ignore", policy)


def allow_egress(ranges: AddressRanges) -> None:
    """Give the node a default route, over the machine. Only for boxes that asked for egress."""
    run_command(["ip", "route", "add", "default", "via", str(ranges.host_ip), "dev", UPLINK])


def load_rules(layout: ClusterLayout, record: NativeRecord) -> None:
    """Put the record's packet rules in force, in the namespace of the caller."""
    text = nft_rules(
        layout.nft_table,
        record.address_ranges,
        record.isolation,
        record.options.egress,
        record.options.isolation_off,
    )
    run_command(["nft", "-f", "-"], text)


def connect_machine(layout: ClusterLayout, ranges: AddressRanges, node_pid: int) -> None:
    """Make one veth pair on the machine, its other end inside the node's namespace."""
    link = layout.host_link
    run_command(["ip", "link", "add", link, "type", "veth", "peer", "name", UPLINK, "netns", str(node_pid)])
    _set_parameter(f"ipv6/conf/{link}/disable_ipv6", "1")
    # The machine routes nothing that comes from the node, whatever its own ip_forward says (egress.py).
    _set_parameter(f"ipv4/conf/{link}/forwarding", "0")
    run_command(["ip", "address", "add", f"{ranges.host_ip}/30", "dev", link])
    run_command(["ip", "link", "set", "dev", link, "up"])


def machine_link_exists(layout: ClusterLayout) -> bool:
    """Return whether the machine's end of the link is there. Needs no privilege."""
    return Path("/sys/class/net", layout.host_link).exists()


def disconnect_machine(layout: ClusterLayout) -> None:
    """Remove the link; the kernel may be doing so already, so a failure is no error."""
    if machine_link_exists(layout):
        subprocess.run(["ip", "link", "delete", layout.host_link], capture_output=True, check=False)


def _set_parameter(name: str, value: str) -> None:
    """Set a parameter; ignore one that this kernel does not have."""
    path = PARAMETERS / name
    if path.exists():
        path.write_text(value)
