"""Makes the nft text that the rules of every node of ours have in common; each driver has its own matches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sandbox.clusters.port import AllowedEndpoint

BEFORE_OTHERS = -10
"""Priority below 0, that of kube-proxy's filter chains. A drop here is final; an accept ends only this
table's chain.
"""


def base_chain(hook: str, kind: str, priority: int | str, body: Iterable[str]) -> str:
    """Return one base chain. Its policy is accept: the body ends with the drops that are needed, and other
    tables' traffic is not ours to judge.
    """
    inner = "\n".join(f"  {line}" for line in body)
    return f" chain {hook} {{\n  type {kind} hook {hook} priority {priority}; policy accept;\n{inner}\n }}"


def job_class_rules(
    source: str, target: str, services: str, endpoints: Iterable[AllowedEndpoint]
) -> Iterator[str]:
    """Yield the forwarding rules of one routed job class. ``source`` matches packets from its pods,
    ``target`` those to them, ``services`` those to the pods of services.
    """
    for endpoint in endpoints:
        # "ct status dnat" demands that kube-proxy rewrote the packet: a pod that dials a service's pod by its
        # own address is not let through, even on the listed port.
        yield (
            f"{source} {services} meta l4proto tcp ct status dnat "
            f"ct original ip daddr {endpoint.ip} ct original proto-dst {endpoint.port} accept"
        )
    # After the exceptions: the first verdict ends a packet's way through the chain.
    yield f"{source} drop"
    # Answers to what the pod itself asked. Nothing opens a connection to a job.
    yield f"{target} ct state established accept"
    yield f"{target} drop"
