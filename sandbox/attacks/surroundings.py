"""What must be the same after the battery as before: the node, its components, the services, the clock.

And who may be heard: a listener on the machine itself, beside the canary on the cluster's network.
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
CLOCK_TOLERANCE = 2.0
"""Seconds by which the clock may have been corrected meanwhile."""


@dataclass(frozen=True, slots=True)
class NodeFacts:
    restarts: dict[str, int]
    pressures: tuple[str, ...]
    clock: float
    """Seconds between the clock and the machine's uptime."""

    @classmethod
    def read_facts(cls, kube: KubeApi, cluster: ClusterDriver, namespaces: tuple[str, ...]) -> NodeFacts:
        restarts = {part.name: part.restarts for part in cluster.status().components}
        for namespace in namespaces:
            for pod in kube.items(f"/api/v1/namespaces/{namespace}/pods"):
                if pod["spec"].get("restartPolicy", "Always") != "Always":
                    continue  # the pod of a Kubernetes Job, which may end and be taken away
                for entry in pod.get("status", {}).get("containerStatuses", []):
                    restarts[f"{pod['metadata']['name']}/{entry['name']}"] = int(entry["restartCount"])
        return cls(restarts, tuple(_node_problems(kube)), time.time() - time.monotonic())

    def describe_changes(self, later: NodeFacts) -> list[str]:
        """What is worse in ``later``, in words."""
        found = [
            f"{name} was restarted"
            for name, count in self.restarts.items()
            if later.restarts.get(name, 0) > count
        ]
        found += [f"{name} is gone" for name in self.restarts.keys() - later.restarts.keys()]
        found += [text for text in later.pressures if text not in self.pressures]
        if abs(later.clock - self.clock) > CLOCK_TOLERANCE:
            found.append(f"the clock moved by {later.clock - self.clock:.1f} s")
        return found


def _node_problems(kube: KubeApi) -> Iterator[str]:
    for node in kube.items("/api/v1/nodes"):
        conditions = {entry["type"]: entry["status"] for entry in node["status"].get("conditions", [])}
        name = node["metadata"]["name"]
        if conditions.get("Ready") != "True":
            yield f"node {name} is not ready"
        yield from (f"node {name} has {kind}" for kind in _PRESSURES if conditions.get(kind) == "True")


@dataclass
class MachineListener:
    """Open on the machine's own address on the way to the node, as a developer's server might be."""

    address: str
    heard: list[str] = field(default_factory=list)


@contextmanager
def machine_listener(node_ip: str) -> Iterator[MachineListener]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as way:
        way.connect((node_ip, 9))
        own = way.getsockname()[0]
    with socket.create_server((own, 0)) as server:
        made = MachineListener(f"{own}:{server.getsockname()[1]}")

        def hear() -> None:
            while True:
                try:
                    accepted, peer = server.accept()
                except OSError:
                    return
                made.heard.append(peer[0])
                accepted.close()

        threading.Thread(target=hear, daemon=True).start()
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
                server.shutdown(socket.SHUT_RDWR)
