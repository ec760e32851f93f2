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
from sandbox.clusters.packet_rules import BEFORE_OTHERS, base_chain, job_class_rules
from sandbox.clusters.port import JobIsolation

TABLE = "c2d"
"""Name of our table. kube-proxy has tables of its own, which are never touched."""
OUTSIDE = "eth0"
"""The node's link to its Docker network; every other link leads to a pod."""


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
    lines.append(base_chain("forward", "filter", BEFORE_OTHERS, [*jobs, *_forward_rules(egress)]))
    lines.append(base_chain("input", "filter", BEFORE_OTHERS, _input_rules(egress, isolation_off)))
    if egress:
        leave = [f'ip saddr {PODS} oifname "{OUTSIDE}" masquerade']
        lines.append(base_chain("postrouting", "nat", 100, leave))
    return "\n".join([*lines, "}"]) + "\n"


def _job_rules(isolation: JobIsolation) -> Iterator[str]:
    """Yield the rules for packets from and to the job classes."""
    yield "meta nfproto ipv6 drop"
    # No packet should exist from this range; if a plugin ever made a link, it would lead nowhere.
    yield f"ip saddr {UNROUTED} drop"
    yield f"ip daddr {UNROUTED} drop"
    for network, endpoints in ((STAGING, isolation.staging), (PUBLISHING, isolation.publishing)):
        yield from job_class_rules(
            f"ip saddr {network}", f"ip daddr {network}", f"ip daddr {PODS}", endpoints
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
