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
from sandbox.clusters.port import AllowedEndpoint, JobIsolation

PODS = "pods"
UNROUTED = "unrouted"
STAGING = "staging"
PUBLISHING = "publishing"
UPLINK = "uplink"

BEFORE_OTHERS = -10
FAMILIES = ("inet", "bridge", "netdev")


def nft_rules(
    table: str, ranges: AddressRanges, isolation: JobIsolation, egress: bool, isolation_off: bool = False
) -> str:
    """Return the complete text for ``nft -f -``."""
    lines: list[str] = []
    for family in FAMILIES:
        lines += [f"table {family} {table}", f"delete table {family} {table}"]
    lines += _table_text("inet", table, _inet_chains(ranges, isolation, egress, isolation_off))
    if not isolation_off:
        lines += _table_text(
            "bridge", table, [_chain_text("prerouting", "filter", "-300", ["ether type ip6 drop"])]
        )
        lines += _table_text("netdev", table, [_drop_chain(UNROUTED)])
    return "\n".join(lines) + "\n"


def _table_text(family: str, name: str, chains: list[str]) -> list[str]:
    return [f"table {family} {name} {{", *chains, "}"]


def _chain_text(hook: str, kind: str, priority: str, body: list[str], policy: str = "accept") -> str:
    inner = "\n".join(f"  {line}" for line in body)
    return f" chain {hook} {{\n  type {kind} hook {hook} priority {priority}; policy {policy};\n{inner}\n }}"


def _drop_chain(device: str) -> str:
    return (
        f' chain {device} {{\n  type filter hook ingress device "{device}" priority -300; policy drop;\n }}'
    )


def _inet_chains(
    ranges: AddressRanges, isolation: JobIsolation, egress: bool, isolation_off: bool
) -> list[str]:
    jobs = [] if isolation_off else list(_job_forwarding(isolation))
    forward = [*jobs, *_forward_rules(ranges, egress)]
    output = [_unserved_rule(ranges)]
    chains = [
        _chain_text("forward", "filter", str(BEFORE_OTHERS), forward),
        _chain_text("input", "filter", str(BEFORE_OTHERS), list(_input_rules(ranges, isolation_off))),
        _chain_text("output", "filter", str(BEFORE_OTHERS), output),
    ]
    if egress:
        leave = [f'oifname "{UPLINK}" ip saddr {ranges.pods} masquerade']
        chains.append(_chain_text("postrouting", "nat", "srcnat", leave))
    return chains


def _job_forwarding(isolation: JobIsolation) -> Iterator[str]:
    yield f'iifname "{UNROUTED}" drop'
    yield f'oifname "{UNROUTED}" drop'
    for bridge, endpoints in ((STAGING, isolation.staging), (PUBLISHING, isolation.publishing)):
        for endpoint in endpoints:
            yield _allow_rule(bridge, endpoint)
        yield f'iifname "{bridge}" drop'
        yield f'oifname "{bridge}" ct state established accept'
        yield f'oifname "{bridge}" drop'


def _allow_rule(bridge: str, endpoint: AllowedEndpoint) -> str:
    return (
        f'iifname "{bridge}" oifname "{PODS}" meta l4proto tcp ct status dnat '
        f"ct original ip daddr {endpoint.ip} ct original proto-dst {endpoint.port} accept"
    )


def _forward_rules(ranges: AddressRanges, egress: bool) -> Iterator[str]:
    yield f'iifname "{UPLINK}" oifname "{PODS}" ip saddr {ranges.host_ip} ct status dnat accept'
    yield f'iifname "{UPLINK}" ct state established,related accept'
    yield f'iifname "{UPLINK}" drop'
    yield f'oifname "{UPLINK}" ct state established,related accept'
    if egress:
        yield f'iifname "{PODS}" oifname "{UPLINK}" ip daddr != {ranges.uplink} accept'
    yield f'oifname "{UPLINK}" reject with icmp type net-unreachable'
    yield _unserved_rule(ranges)


def _unserved_rule(ranges: AddressRanges) -> str:
    """Return the rule for a Service address that kube-proxy did not rewrite: it has no endpoint behind it."""
    return f"ip daddr {ranges.services} reject with icmp type host-unreachable"


def _input_rules(ranges: AddressRanges, isolation_off: bool) -> Iterator[str]:
    yield 'iifname "lo" accept'
    if not isolation_off:
        yield f'iifname {{ "{UNROUTED}", "{STAGING}", "{PUBLISHING}" }} drop'
    yield "ct state established,related accept"
    yield f'iifname "{UPLINK}" ip saddr {ranges.host_ip} tcp dport {API_PORT} accept'
    yield f'iifname "{UPLINK}" ip saddr {ranges.host_ip} icmp type echo-request accept'
    yield f'iifname "{UPLINK}" drop'
    if not isolation_off:
        yield f'iifname "{PODS}" ip daddr {ranges.node_ip} tcp dport {API_PORT} accept'
        yield f'iifname "{PODS}" ip daddr {ranges.dns_ip} meta l4proto {{ tcp, udp }} th dport 53 accept'
        yield f'iifname "{PODS}" icmp type echo-request accept'
        yield f'iifname "{PODS}" drop'
