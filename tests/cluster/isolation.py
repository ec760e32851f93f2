"""The connect matrix: live targets around a node, and what pods of each runtime class reach of them.

Every target is shown to be alive first, from a routed place: an ordinary service pod, or the node. "Outside"
is a network namespace made by the test, wired to the node, with no way out of the machine; it also owns the
cloud metadata address. A driver says where its node is (:class:`Ground`); the rest is the same for all.
"""

from __future__ import annotations

import ipaddress
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sandbox.clusters.port import JobIsolation
from tests.cluster.native_rig import NAMESPACE, TestBox, pod, prepared_namespace, runtime_class

CLASSES = ("algorithm", "configuration", "publishing")
REACHED = ("open", "ECONNREFUSED", "ECONNRESET")
"""Answers that only somebody at the other end can have caused."""
CANARY_IP, CANARY_PORT = "198.51.100.2", 7777
METADATA_IP = "169.254.169.254"
ALIVE = {
    *("allowed", "allowed-other-port", "denied", "results", "service-pod", "api-server", "api-service"),
    *("dns-udp", "dns-tcp", "canary", "canary-udp", "metadata", "node-port"),
}


@dataclass(frozen=True)
class Ground:
    """Where a driver's node is and what is around it."""

    node: list[str]
    """Command prefix that enters the node's network namespace."""
    beside: list[str]
    """Command prefix of a process whose number means the same to a command run with ``node``."""
    node_ip: str
    machine_ip: str
    """The machine, as the node sees it."""
    dns_ip: str
    services: str
    pods: str
    """What the canary answers to: every pod's range."""
    gateways: tuple[str, str]
    """Of the staging and the publishing network."""

    def service(self, offset: int) -> str:
        return str(ipaddress.ip_network(self.services)[offset])


class Canary:
    """A listener in a network namespace of the test, one link away from the node."""

    def __init__(self, ground: Ground, probe: Path, log: Path) -> None:
        self._ground = ground
        self._probe = probe
        self._log = log
        self._process: subprocess.Popen[str] | None = None
        self._own = ""

    def __enter__(self) -> Canary:
        listen = f'echo $$; exec unshare --net "{self._probe}" serve canary {CANARY_PORT} > "{self._log}"'
        self._log.touch()
        self._process = subprocess.Popen(
            [*self._ground.beside, "sh", "-c", listen], stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        self._own = self._process.stdout.readline().strip()
        time.sleep(0.3)
        inside = f"""
            ip link add canary0 type veth peer name eth0 netns {self._own}
            ip address add 198.51.100.1/24 dev canary0
            ip link set canary0 up
            ip route add {METADATA_IP} via {CANARY_IP}"""
        theirs = f"""
            ip link set lo up
            ip address add {CANARY_IP}/24 dev eth0
            ip address add {METADATA_IP}/32 dev eth0
            ip link set eth0 up
            ip route add {self._ground.pods} via 198.51.100.1"""
        subprocess.run([*self._ground.node, "sh", "-ec", inside], check=True)
        enter = [*self._ground.beside, "nsenter", "--net", "--target", self._own]
        subprocess.run([*enter, "sh", "-ec", theirs], check=True)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        subprocess.run([*self._ground.beside, "kill", f"-{signal.SIGTERM.value}", self._own], check=False)
        with self._process:  # waits for its end and closes what it was read from
            pass

    @property
    def heard(self) -> int:
        return self._log.read_text().count("heard")


@contextmanager
def machine_listener() -> Iterator[int]:
    """A listener on every address of the machine itself, as a developer's server would be."""
    with socket.socket() as listener:
        listener.bind(("0.0.0.0", 0))
        listener.listen(64)
        yield int(listener.getsockname()[1])


@dataclass
class Laboratory:
    """A box with live targets, and what each class's probe pod said about them."""

    box: TestBox
    ground: Ground
    canary: Canary
    targets: dict[str, str]
    """Label → ``protocol address port``."""
    results: dict[str, dict[str, str]] = field(default_factory=dict)
    neighbours: dict[str, str] = field(default_factory=dict)
    """Class role → name of the pod that listens in the same class."""


@contextmanager
def laboratory(box: TestBox, ground: Ground, archive: Path, scratch: Path) -> Iterator[Laboratory]:
    """``archive``: the probe's image, already on the node; its program lies beside it."""
    log = scratch / "canary.log"
    with Canary(ground, archive.with_suffix(""), log) as canary, machine_listener() as port:
        lab = Laboratory(box, ground, canary, {})
        _populate(lab)
        _list_targets(lab, port)
        _probe(lab)
        yield lab


ROUNDS = 5
ALLOWED, DENIED, RESULTS = 60, 61, 62
"""Offsets of the services' addresses."""


def _populate(lab: Laboratory) -> None:
    box, ground = lab.box, lab.ground
    prepared_namespace(box)
    box.apply(*(runtime_class(box.cluster.runtime_classes[role]) for role in CLASSES))
    for name, offset in (("allowed", ALLOWED), ("denied", DENIED), ("results", RESULTS)):
        box.apply(
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": name, "namespace": NAMESPACE},
                "spec": {
                    "clusterIP": ground.service(offset),
                    "type": "NodePort",
                    "selector": {"app": "listener"},
                    "ports": [
                        {"name": "a", "port": 8030, "targetPort": 7000},
                        {"name": "b", "port": 9000, "targetPort": 7000},
                    ],
                },
            }
        )
    box.apply(pod("listener", ["serve", "listener", "7000"], labels={"app": "listener"}))
    for role in CLASSES:
        name = f"neighbour-{role}"
        box.apply(pod(name, ["serve", "neighbour", "7000"], box.cluster.runtime_classes[role]))
        lab.neighbours[role] = name
    for name in ("listener", *lab.neighbours.values()):
        box.wait_log(name, "serving")
    box.cluster.allow_endpoints(
        JobIsolation.from_lists(
            staging=[(ground.service(ALLOWED), 8030)], publishing=[(ground.service(RESULTS), 9000)]
        )
    )


def _list_targets(lab: Laboratory, machine_port: int) -> None:
    box, ground = lab.box, lab.ground
    allowed, denied, results = (ground.service(offset) for offset in (ALLOWED, DENIED, RESULTS))
    listener = box.pod("listener")["status"]["podIP"]
    node_port = box.get("service", "allowed", "-n", NAMESPACE)["spec"]["ports"][0]["nodePort"]
    lab.targets = {
        "allowed": f"tcp4 {allowed} 8030",
        "allowed-other-port": f"tcp4 {allowed} 9000",
        "denied": f"tcp4 {denied} 8030",
        "results": f"tcp4 {results} 9000",
        "results-other-port": f"tcp4 {results} 8030",
        "service-pod": f"tcp4 {listener} 7000",
        "api-server": f"tcp4 {ground.node_ip} 6443",
        "api-service": f"tcp4 {ground.service(1)} 443",
        "kubelet": f"tcp4 {ground.node_ip} 10250",
        "node-port": f"tcp4 {ground.node_ip} {node_port}",
        "dns-udp": f"udp4 {ground.dns_ip} 53",
        "dns-tcp": f"tcp4 {ground.dns_ip} 53",
        "machine": f"tcp4 {ground.machine_ip} {machine_port}",
        "canary": f"tcp4 {CANARY_IP} {CANARY_PORT}",
        "canary-udp": f"udp4 {CANARY_IP} {CANARY_PORT}",
        "metadata": f"tcp4 {METADATA_IP} {CANARY_PORT}",
        "gateway": f"tcp4 {ground.gateways[0]} 6443",
        "other-gateway": f"tcp4 {ground.gateways[1]} 6443",
        "all-nodes-6": "udp6 ff02::1%eth0 7000",
        "all-nodes-6-api": "tcp6 fe80::1%eth0 6443",
    }
    for role, name in lab.neighbours.items():
        lab.targets[f"neighbour-{role}"] = f"tcp4 {box.pod(name)['status']['podIP']} 7000"
        lab.targets[f"neighbour-{role}-udp"] = f"udp4 {box.pod(name)['status']['podIP']} 7000"
        for line in box.pod_logs(name).splitlines():
            if line.startswith("link-local"):
                lab.targets[f"neighbour-{role}-6"] = f"tcp6 {line.split()[1]}%eth0 7000"
                lab.targets[f"neighbour-{role}-6-udp"] = f"udp6 {line.split()[1]}%eth0 7000"


def _probe(lab: Laboratory) -> None:
    """What isolation is held against must be alive in that very round: on a busy machine the cluster's DNS is
    at times not ready, so all classes are asked again until the routed pod reaches what lives.
    """
    words = [word for label, target in lab.targets.items() for word in (label, *target.split())]
    classes = {"routed": "", **lab.box.cluster.runtime_classes}
    for attempt in range(ROUNDS):
        names = {role: f"prober-{role}" + (f"-{attempt}" if attempt else "") for role in classes}
        for role, handler in classes.items():
            lab.box.apply(pod(names[role], ["dial", *words], handler))
        for role in classes:
            log = lab.box.wait_log(names[role], "done")
            lines = [line.split() for line in log.splitlines()]
            said = {line[0]: line[1] for line in lines if len(line) == 2}
            before = {label: was for label, was in lab.results.get(role, {}).items() if was in REACHED}
            lab.results[role] = {**said, **before}  # what was reached once stays a finding
        if reached(lab, "routed") >= ALIVE:
            return
        time.sleep(5)


def reached(lab: Laboratory, role: str) -> set[str]:
    return {label for label, result in lab.results[role].items() if result in REACHED}


def violations(lab: Laboratory) -> dict[str, set[str]]:
    """What each class reached beyond what it may; empty when isolation holds."""
    may = {"algorithm": set(), "configuration": {"allowed"}, "publishing": {"results"}}
    found = {role: reached(lab, role) - may[role] for role in CLASSES}
    return {role: labels for role, labels in found.items() if labels}


def pod_network(box: TestBox, name: str) -> list[str]:
    """Command prefix that enters a pod's network namespace, found by the pod's control group."""
    uid = box.pod(name)["metadata"]["uid"]
    for form in (uid, uid.replace("-", "_")):
        for processes in Path("/sys/fs/cgroup").glob(f"**/*{form}*/*/cgroup.procs"):
            if numbers := processes.read_text().split():
                return ["nsenter", "--net", "--target", numbers[0]]
    raise AssertionError(f"no process of pod {name}")
