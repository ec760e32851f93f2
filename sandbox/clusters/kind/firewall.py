"""Makes the packet rules of a node that is a container, as one nft text replaced in a single transaction.

kind's nodes have the point-to-point plugin only: every pod has a link of its own to the node, so every
packet of a pod is routed by the node, and the address range tells the class (reverse path filtering is on:
a packet that claims another address than its link's is dropped before these rules). What they hold:

* pods of the algorithm class have no link at all; their range is dropped all the same;
* pods of the staging and publishing class: TCP to the listed Service addresses and ports, nothing else,
  where the match is on the address the pod dialled (``ct original``), for kube-proxy rewrites it before the
  filter;
* service pods: the API server, other pods and Services, nothing else of the node, nothing outside the node
  unless egress was asked for;
* from outside the node: the API server and NodePorts;
* IPv6: nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from sandbox.clusters.kind.addresses import API_PORT, JOB_RANGES, PODS, PUBLISHING, STAGING, UNROUTED
from sandbox.clusters.port import AllowedEndpoint, JobIsolation

TABLE = "c2d"
"""Name of our table. kube-proxy has tables of its own, which are never touched."""
OUTSIDE = "eth0"
"""The node's link to its Docker network; every other link leads to a pod."""
BEFORE_OTHERS = -10
"""Priority below 0, that of kube-proxy's filter chains. A drop here is final; an accept ends only this
table's chain.
"""


def nft_rules(isolation: JobIsolation, egress: bool, isolation_off: bool = False) -> str:
    """Return the complete text for ``nft -f``.

    nft applies a file as one transaction: between the old rules and the new ones there is no moment without
    rules.
    """
    # The first line makes the table where it is missing, so that the second cannot fail.
    lines = [f"table inet {TABLE}", f"delete table inet {TABLE}", f"table inet {TABLE} {{"]
    # Before the general rules, among which one lets established connections pass: a list that became shorter
    # also cuts the connections it no longer allows.
    jobs = [] if isolation_off else list(_job_rules(isolation))
    lines += _chain_lines("forward", "filter", BEFORE_OTHERS, [*jobs, *_forward_rules(egress)])
    lines += _chain_lines("input", "filter", BEFORE_OTHERS, list(_input_rules(egress, isolation_off)))
    if egress:
        leave = [f'ip saddr {PODS} oifname "{OUTSIDE}" masquerade']
        lines += _chain_lines("postrouting", "nat", 100, leave)
    return "\n".join([*lines, "}"]) + "\n"


def _chain_lines(hook: str, kind: str, priority: int, body: list[str]) -> list[str]:
    """Return the lines of one base chain. The policy is accept: each chain ends with the drops it needs, and
    other tables' traffic is not ours to judge.
    """
    head = f"  type {kind} hook {hook} priority {priority}; policy accept;"
    return [f" chain {hook} {{", head, *(f"  {line}" for line in body), " }"]


def _job_rules(isolation: JobIsolation) -> Iterator[str]:
    """Yield the rules for packets from and to the job classes."""
    yield "meta nfproto ipv6 drop"
    # No packet should exist from this range; if a plugin ever made a link, it would lead nowhere.
    yield f"ip saddr {UNROUTED} drop"
    yield f"ip daddr {UNROUTED} drop"
    for network, endpoints in ((STAGING, isolation.staging), (PUBLISHING, isolation.publishing)):
        for endpoint in endpoints:
            yield _allow_rule(network, endpoint)
        yield f"ip saddr {network} drop"
        # Answers to what the pod itself asked. Nothing opens a connection to a job.
        yield f"ip daddr {network} ct state established accept"
        yield f"ip daddr {network} drop"


def _allow_rule(network: str, endpoint: AllowedEndpoint) -> str:
    """Return the rule for one endpoint.

    "ct status dnat" demands that kube-proxy rewrote the packet: a pod that dials a service's pod by its own
    address is not let through, even on the listed port.
    """
    return (
        f"ip saddr {network} ip daddr {PODS} meta l4proto tcp ct status dnat "
        f"ct original ip daddr {endpoint.ip} ct original proto-dst {endpoint.port} accept"
    )


def _forward_rules(egress: bool) -> Iterator[str]:
    """Yield the rules for packets that cross the node."""
    yield "ct state established,related accept"
    # NodePorts: only what kube-proxy rewrote. A neighbour on the Docker network cannot route to a pod
    # directly.
    yield f'iifname "{OUTSIDE}" ip daddr {PODS} ct status dnat accept'
    yield f'iifname "{OUTSIDE}" drop'
    if not egress:
        # Rejected, not dropped: a service that tries fails at once instead of after a timeout.
        yield f'oifname "{OUTSIDE}" reject with icmp type net-unreachable'


def _input_rules(egress: bool, isolation_off: bool) -> Iterator[str]:
    """Yield the rules for packets to the node itself, where kubelet, etcd and the API server listen."""
    # The components talk to each other over loopback.
    yield 'iifname "lo" accept'
    if not isolation_off:
        yield "meta nfproto ipv6 drop"
        yield f"ip saddr {{ {', '.join(JOB_RANGES)} }} drop"
        # The node's own addresses there are the API server's too: nobody needs that way to it.
        yield f"ip daddr {{ {', '.join(JOB_RANGES)} }} drop"
    yield "ct state established,related accept"
    # Docker publishes this port on 127.0.0.1 of the machine; the kubeconfig leads here.
    yield f'iifname "{OUTSIDE}" tcp dport {API_PORT} accept'
    yield f'iifname "{OUTSIDE}" icmp type echo-request accept'
    yield f'iifname "{OUTSIDE}" drop'
    if isolation_off:
        return
    yield f"ip saddr {PODS} tcp dport {API_PORT} accept"
    yield f"ip saddr {PODS} icmp type echo-request accept"
    if egress:
        # Docker's resolver, which answers on the node.
        yield f"ip saddr {PODS} ct status dnat accept"
    yield f"ip saddr {PODS} drop"
