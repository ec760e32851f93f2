"""Facts that must be the same after the battery as before: the node, its components, the services, the clock.

A listener on the machine itself is here as well; the canary on the cluster's network is its counterpart.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from c2d_box.kubernetes.sync_client import KubeApi
from sandbox.clusters.port import ClusterDriver

_PRESSURES = ("MemoryPressure", "DiskPressure", "PIDPressure")
"""Conditions of a node (Kubernetes' names) that an attack may have caused."""
CLOCK_TOLERANCE = 2.0
"""Seconds by which the machine's own time service may have corrected the clock meanwhile."""


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """State of the node at one moment; two of them are compared. An attack on the node may succeed without a
    word in its own job, so this is where it would show."""

    restarts: dict[str, int]
    """Number of restarts by component, and by pod and container."""
    pressures: tuple[str, ...]
    clock: float
    """Seconds between the wall clock and the monotonic one. It changes when the clock is set, not as time
    passes.
    """

    @classmethod
    def read_facts(cls, kube: KubeApi, cluster: ClusterDriver, namespaces: tuple[str, ...]) -> NodeFacts:
        """Read the facts from the cluster's driver and from the pods of ``namespaces``."""
        restarts = {part.name: part.restarts for part in cluster.status().components}
        for namespace in namespaces:
            for pod in kube.items(f"/api/v1/namespaces/{namespace}/pods"):
                if pod["spec"].get("restartPolicy", "Always") != "Always":
                    continue  # the pod of a Kubernetes Job, which may end and be taken away
                for entry in pod.get("status", {}).get("containerStatuses", []):
                    restarts[f"{pod['metadata']['name']}/{entry['name']}"] = int(entry["restartCount"])
        return cls(restarts, tuple(_node_problems(kube)), time.time() - time.monotonic())

    def describe_changes(self, later: NodeFacts) -> list[str]:
        """Return a text for each fact that is worse in ``later``."""
        found = [
            f"{name} was restarted"
            for name, count in self.restarts.items()
            if later.restarts.get(name, 0) > count
        ]
        # A component that has vanished has no counter any more.
        found += [f"{name} is gone" for name in self.restarts.keys() - later.restarts.keys()]
        # A pressure that was there before is no attack's doing.
        found += [text for text in later.pressures if text not in self.pressures]
        if abs(later.clock - self.clock) > CLOCK_TOLERANCE:
            found.append(f"the clock moved by {later.clock - self.clock:.1f} s")
        return found


def _node_problems(kube: KubeApi) -> Iterator[str]:
    """Yield a text for each node that is not ready or under pressure."""
    for node in kube.items("/api/v1/nodes"):
        conditions = {entry["type"]: entry["status"] for entry in node["status"].get("conditions", [])}
        name = node["metadata"]["name"]
        if conditions.get("Ready") != "True":
            yield f"node {name} is not ready"
        yield from (f"node {name} has {kind}" for kind in _PRESSURES if conditions.get(kind) == "True")


@dataclass
class MachineListener:
    """An open port on the machine's own address on the way to the node, where a developer's server may be."""

    address: str
    heard: list[str] = field(default_factory=list)
    """Addresses that connected."""


@contextmanager
def machine_listener(node_ip: str) -> Iterator[MachineListener]:
    """Listen for as long as the block lasts. Raises OSError where the machine cannot open the port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as way:
        # Connecting a UDP socket sends nothing; the kernel only chooses the address that faces the node.
        way.connect((node_ip, 9))
        own = way.getsockname()[0]
    with socket.create_server((own, 0)) as server:
        made = MachineListener(f"{own}:{server.getsockname()[1]}")

        def hear() -> None:
            """Record each peer until the socket is shut down."""
            while True:
                try:
                    accepted, peer = server.accept()
                # The socket was shut down: the block has ended.
                except OSError:
                    return
                made.heard.append(peer[0])
                accepted.close()

        threading.Thread(target=hear, daemon=True).start()
        # Proof that the listener hears: silence of a deaf one would pass for isolation.
        with socket.create_connection((own, server.getsockname()[1]), 2):
            pass
        deadline = time.monotonic() + 2
        while not made.heard and time.monotonic() < deadline:
            time.sleep(0.01)
        made.heard.clear()
        try:
            yield made
        finally:
            with suppress(OSError):
                # close() alone does not wake a thread that waits in accept().
                server.shutdown(socket.SHUT_RDWR)
