"""Makes the node's packet rules: one nft text that replaces the box's tables in a single transaction.

They live in the node's own network namespace beside kube-proxy's. What they hold:

* pods of the algorithm class: no frame of theirs gets past their bridge, in any protocol;
* pods of the staging and publishing class: TCP to the listed Service addresses and ports, nothing else, where
  the match is on the address the pod dialled (``ct original``), for kube-proxy rewrites it before the filter;
* service pods: the API server and DNS of the node, other pods and Services, nothing else of the node, and
  nothing outside the box unless egress was asked for;
* the machine itself: the API server and NodePorts, from the link's own address only;
* IPv6: no frame crosses a bridge of the box.
"""

from __future__ import annotations

from collections.abc import Iterator

from sandbox.clusters.native.control_plane.kubeconfigs import API_PORT
from sandbox.clusters.native.host.address_ranges import AddressRanges
from sandbox.clusters.packet_rules import BEFORE_OTHERS, base_chain, job_class_rules
from sandbox.clusters.port import JobIsolation

# Names of the bridges, one for each class of pods, and of the node's end of the link.
PODS = "pods"
UNROUTED = "unrouted"
STAGING = "staging"
PUBLISHING = "publishing"
UPLINK = "uplink"

FAMILIES = ("inet", "bridge", "netdev")
"""Families in which the box has tables. All are removed before the new text, also those that it no longer
names.
"""


def nft_rules(
    table: str, ranges: AddressRanges, isolation: JobIsolation, egress: bool, isolation_off: bool = False
) -> str:
    """Return the complete text for ``nft -f -``.

    nft applies a text as one transaction: between the old rules and the new ones there is no moment without
    rules.
    """
    lines: list[str] = []
    for family in FAMILIES:
        # The first makes the table where it is missing, so that the second cannot fail.
        lines += [f"table {family} {table}", f"delete table {family} {table}"]
    lines += _table_text("inet", table, _inet_chains(ranges, isolation, egress, isolation_off))
    if not isolation_off:
        lines += _table_text(
            "bridge", table, [base_chain("prerouting", "filter", "-300", ["ether type ip6 drop"])]
        )
        # At the bridge's own entry, before any routing: also ARP and what is no IP at all.
        lines += _table_text("netdev", table, [_drop_chain(UNROUTED)])
    return "\n".join(lines) + "\n"


def _table_text(family: str, name: str, chains: list[str]) -> list[str]:
    """Return the lines of one table."""
    return [f"table {family} {name} {{", *chains, "}"]


def _drop_chain(device: str) -> str:
    """Return a chain that drops whatever enters through ``device``. The device must exist when this is
    loaded.
    """
    return (
        f' chain {device} {{\n  type filter hook ingress device "{device}" priority -300; policy drop;\n }}'
    )


def _inet_chains(
    ranges: AddressRanges, isolation: JobIsolation, egress: bool, isolation_off: bool
) -> list[str]:
    """Return the chains for routed packets and for packets to and from the node itself."""
    # Before the general rules: they let established connections pass, also ones that a shorter list no longer
    # allows.
    jobs = [] if isolation_off else list(_job_forwarding(isolation))
    forward = [*jobs, *_forward_rules(ranges, egress)]
    # For programs on the node itself, such as the API server that calls a webhook.
    output = [_unserved_rule(ranges)]
    chains = [
        base_chain("forward", "filter", BEFORE_OTHERS, forward),
        base_chain("input", "filter", BEFORE_OTHERS, _input_rules(ranges, isolation_off)),
        base_chain("output", "filter", BEFORE_OTHERS, output),
    ]
    if egress:
        leave = [f'oifname "{UPLINK}" ip saddr {ranges.pods} masquerade']
        chains.append(base_chain("postrouting", "nat", "srcnat", leave))
    return chains


def _job_forwarding(isolation: JobIsolation) -> Iterator[str]:
    """Yield the rules for routed packets from and to the job classes."""
    yield f'iifname "{UNROUTED}" drop'
    yield f'oifname "{UNROUTED}" drop'
    for bridge, endpoints in ((STAGING, isolation.staging), (PUBLISHING, isolation.publishing)):
        yield from job_class_rules(
            f'iifname "{bridge}"', f'oifname "{bridge}"', f'oifname "{PODS}"', endpoints
        )


def _forward_rules(ranges: AddressRanges, egress: bool) -> Iterator[str]:
    """Yield the rules for packets that cross the node."""
    # NodePorts: only what kube-proxy rewrote, and only from the machine itself.
    yield f'iifname "{UPLINK}" oifname "{PODS}" ip saddr {ranges.host_ip} ct status dnat accept'
    yield f'iifname "{UPLINK}" ct state established,related accept'
    yield f'iifname "{UPLINK}" drop'
    yield f'oifname "{UPLINK}" ct state established,related accept'
    if egress:
        # Not to the machine's end of the link. A chain on this machine is reached at its other addresses.
        yield f'iifname "{PODS}" oifname "{UPLINK}" ip daddr != {ranges.uplink} accept'
    # Rejected, not dropped: a service that tries fails at once instead of after a timeout.
    yield f'oifname "{UPLINK}" reject with icmp type net-unreachable'
    yield _unserved_rule(ranges)


def _unserved_rule(ranges: AddressRanges) -> str:
    """Return the rule for a Service address that kube-proxy did not rewrite: it has no endpoint behind it."""
    return f"ip daddr {ranges.services} reject with icmp type host-unreachable"


def _input_rules(ranges: AddressRanges, isolation_off: bool) -> Iterator[str]:
    """Yield the rules for packets to the node itself, where kubelet, etcd and the API server listen."""
    yield 'iifname "lo" accept'
    if not isolation_off:
        # Before the rule for established connections, as among the forwarding rules.
        yield f'iifname {{ "{UNROUTED}", "{STAGING}", "{PUBLISHING}" }} drop'
    yield "ct state established,related accept"
    # The link's own address: a packet that the machine forwards for a neighbour has another one.
    yield f'iifname "{UPLINK}" ip saddr {ranges.host_ip} tcp dport {API_PORT} accept'
    yield f'iifname "{UPLINK}" ip saddr {ranges.host_ip} icmp type echo-request accept'
    yield f'iifname "{UPLINK}" drop'
    if not isolation_off:
        yield f'iifname "{PODS}" ip daddr {ranges.node_ip} tcp dport {API_PORT} accept'
        # Only at this address: on the node's other ones nothing of DNS listens.
        yield f'iifname "{PODS}" ip daddr {ranges.dns_ip} meta l4proto {{ tcp, udp }} th dport 53 accept'
        yield f'iifname "{PODS}" icmp type echo-request accept'
        yield f'iifname "{PODS}" drop'
