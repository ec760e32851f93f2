"""What a job's pod can reach, asked from inside real pods: the connect matrix of each runtime class.

Every target is shown to be alive first, from a routed place: an ordinary service pod, or the node. "Outside"
is a network namespace made by the test, wired to the node, with no way out of the machine; it also owns the
cloud metadata address. The same matrix must fail when isolation is switched off.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from sandbox.clusters.native.ranges import Ranges
from sandbox.clusters.native.record import Options, Record
from sandbox.clusters.port import Isolation
from tests.cluster.native_rig import (
    NAMESPACE,
    TestBox,
    nothing_left,
    pod,
    prepared_namespace,
    probe_image,
    runtime_class,
)

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(os.geteuid() != 0, reason="the supervisor needs root"),
]
CLASSES = ("algorithm", "configuration", "publishing")
REACHED = ("open", "ECONNREFUSED", "ECONNRESET")
"""Answers that only somebody at the other end can have caused."""
CANARY_IP, CANARY_PORT = "198.51.100.2", 7777
METADATA_IP = "169.254.169.254"


class Canary:
    """A listener in a network namespace of the test, one link away from the node."""

    def __init__(self, box: TestBox, probe: Path, log: Path) -> None:
        self._box = box
        self._probe = probe
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Canary:
        node = self._box.init_pid
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                ["unshare", "--net", str(self._probe), "serve", "canary", str(CANARY_PORT)], stdout=log
            )
        own = self._process.pid
        ranges = ranges_of(self._box)
        time.sleep(0.3)
        inside = f"""
            ip link add canary0 type veth peer name eth0 netns {own}
            ip address add 198.51.100.1/24 dev canary0
            ip link set canary0 up
            ip route add {METADATA_IP} via {CANARY_IP}"""
        theirs = f"""
            ip link set lo up
            ip address add {CANARY_IP}/24 dev eth0
            ip address add {METADATA_IP}/32 dev eth0
            ip link set eth0 up
            ip route add {ranges.block} via 198.51.100.1"""
        subprocess.run(["nsenter", "--net", "--target", str(node), "sh", "-ec", inside], check=True)
        subprocess.run(["nsenter", "--net", "--target", str(own), "sh", "-ec", theirs], check=True)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        self._process.wait()

    @property
    def heard(self) -> int:
        return self._log.read_text().count("heard")


def ranges_of(box: TestBox) -> Ranges:
    record = Record.load(box.cluster.home.cluster / "cluster.json")
    assert record is not None
    return record.ranges


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
    canary: Canary
    targets: dict[str, str]
    """Label → ``protocol address port``."""
    results: dict[str, dict[str, str]] = field(default_factory=dict)
    neighbours: dict[str, str] = field(default_factory=dict)
    """Class role → name of the pod that listens on the same bridge."""


@contextmanager
def laboratory(options: Options) -> Iterator[Laboratory]:
    scratch = Path(tempfile.mkdtemp(prefix="c2d-i-"))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, scratch, ignore_errors=True)
        box = TestBox.at(scratch / "home", scratch, options)
        stack.enter_context(nothing_left(scratch / "home"))
        stack.callback(box.delete)
        box.create()
        archive = probe_image(scratch)
        box.load(archive)
        canary = stack.enter_context(Canary(box, archive.with_suffix(""), scratch / "canary.log"))
        port = stack.enter_context(machine_listener())
        lab = Laboratory(box, canary, {})
        _populate(lab)
        _list_targets(lab, port)
        _probe(lab)
        yield lab


def _populate(lab: Laboratory) -> None:
    box = lab.box
    prepared_namespace(box)
    base = ranges_of(box).services.network_address
    box.apply(*(runtime_class(box.cluster.runtime_classes[role]) for role in CLASSES))
    services = [("allowed", str(base + 30)), ("denied", str(base + 31)), ("results", str(base + 32))]
    for name, address in services:
        box.apply(
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": name, "namespace": NAMESPACE},
                "spec": {
                    "clusterIP": address,
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
    box.cluster.allow(
        Isolation.listing(staging=[(str(base + 30), 8030)], publishing=[(str(base + 32), 9000)])
    )


def _list_targets(lab: Laboratory, machine_port: int) -> None:
    box, ranges = lab.box, ranges_of(lab.box)
    base = ranges.services.network_address
    listener = box.pod("listener")["status"]["podIP"]
    node_port = box.get("service", "allowed", "-n", NAMESPACE)["spec"]["ports"][0]["nodePort"]
    lab.targets = {
        "allowed": f"tcp4 {base + 30} 8030",
        "allowed-other-port": f"tcp4 {base + 30} 9000",
        "denied": f"tcp4 {base + 31} 8030",
        "results": f"tcp4 {base + 32} 9000",
        "results-other-port": f"tcp4 {base + 32} 8030",
        "service-pod": f"tcp4 {listener} 7000",
        "api-server": f"tcp4 {ranges.node_ip} 6443",
        "api-service": f"tcp4 {ranges.api_service_ip} 443",
        "kubelet": f"tcp4 {ranges.node_ip} 10250",
        "node-port": f"tcp4 {ranges.node_ip} {node_port}",
        "dns-udp": f"udp4 {ranges.dns_ip} 53",
        "dns-tcp": f"tcp4 {ranges.dns_ip} 53",
        "machine": f"tcp4 {ranges.host_ip} {machine_port}",
        "canary": f"tcp4 {CANARY_IP} {CANARY_PORT}",
        "canary-udp": f"udp4 {CANARY_IP} {CANARY_PORT}",
        "metadata": f"tcp4 {METADATA_IP} {CANARY_PORT}",
        "gateway": f"tcp4 {ranges.staging[1]} 6443",
        "other-gateway": f"tcp4 {ranges.publishing[1]} 6443",
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
    words = [word for label, target in lab.targets.items() for word in (label, *target.split())]
    classes = {"routed": "", **lab.box.cluster.runtime_classes}
    heard_before = {}
    for role, handler in classes.items():
        lab.box.apply(pod(f"prober-{role}", ["dial", *words], handler))
    for role in classes:
        log = lab.box.wait_log(f"prober-{role}", "done")
        lines = [line.split() for line in log.splitlines()]
        lab.results[role] = {line[0]: line[1] for line in lines if len(line) == 2}
        heard_before[role] = lab.canary.heard


def reached(lab: Laboratory, role: str) -> set[str]:
    return {label for label, result in lab.results[role].items() if result in REACHED}


def violations(lab: Laboratory) -> dict[str, set[str]]:
    """What each class reached beyond what it may; empty when isolation holds."""
    may = {"algorithm": set(), "configuration": {"allowed"}, "publishing": {"results"}}
    found = {role: reached(lab, role) - may[role] for role in CLASSES}
    return {role: labels for role, labels in found.items() if labels}


@pytest.fixture(scope="module")
def lab() -> Iterator[Laboratory]:
    with laboratory(Options()) as made:
        yield made


def test_targets_are_alive_from_a_routed_place(lab: Laboratory) -> None:
    alive = reached(lab, "routed")
    assert {
        "allowed",
        "allowed-other-port",
        "denied",
        "results",
        "service-pod",
        "api-server",
        "api-service",
        "dns-udp",
        "dns-tcp",
        "canary",
        "canary-udp",
        "metadata",
        "node-port",
    } <= alive
    assert lab.canary.heard >= 2


def test_service_pods_reach_neither_kubelet_nor_the_machine(lab: Laboratory) -> None:
    assert not {"kubelet", "machine", "gateway"} & reached(lab, "routed")


def test_every_probe_answered_for_every_target(lab: Laboratory) -> None:
    for role in CLASSES:
        assert set(lab.targets) <= set(lab.results[role]), role


def test_algorithm_pod_reaches_nothing(lab: Laboratory) -> None:
    assert reached(lab, "algorithm") == set()


def test_configuration_pod_reaches_its_endpoint_only(lab: Laboratory) -> None:
    assert reached(lab, "configuration") == {"allowed"}


def test_publishing_pod_reaches_its_endpoint_only(lab: Laboratory) -> None:
    assert reached(lab, "publishing") == {"results"}


def test_no_listener_heard_a_job_pod(lab: Laboratory) -> None:
    for role, name in lab.neighbours.items():
        assert "heard" not in lab.box.pod_logs(name), role


def test_algorithm_pod_has_no_route_but_its_own_link(lab: Laboratory) -> None:
    inside = _pod_network(lab.box, "prober-algorithm")
    routes = subprocess.run([*inside, "ip", "-4", "route"], capture_output=True, text=True, check=True).stdout
    assert len(routes.splitlines()) == 1
    assert "via" not in routes


def test_neighbours_do_not_answer_arp(lab: Laboratory) -> None:
    for role, name in lab.neighbours.items():
        inside = _pod_network(lab.box, f"prober-{role}")
        table = subprocess.run([*inside, "ip", "neigh"], capture_output=True, text=True, check=True).stdout
        address = lab.box.pod(name)["status"]["podIP"]
        for line in table.splitlines():
            assert not (line.startswith(f"{address} ") and "lladdr" in line), (role, line)


def test_node_has_no_ipv6_and_no_default_route(lab: Laboratory) -> None:
    enter = ["nsenter", "--net", "--target", str(lab.box.init_pid)]
    for words in (("ip", "-6", "address"), ("ip", "route", "show", "default")):
        assert not subprocess.run([*enter, *words], capture_output=True, text=True, check=True).stdout


def test_the_node_answers_for_pods_at_once(lab: Laboratory) -> None:
    enter = ["nsenter", "--net", "--target", str(lab.box.init_pid)]
    delay = [*enter, "cat", "/proc/sys/net/ipv4/neigh/pods/proxy_delay"]
    assert subprocess.run(delay, capture_output=True, text=True, check=True).stdout == "0\n"


def test_an_allowance_taken_back_is_closed(lab: Laboratory) -> None:
    lab.box.cluster.allow(Isolation())
    target = f"allowed {lab.targets['allowed']}".split()
    lab.box.apply(pod("late", ["dial", *target], lab.box.cluster.runtime_classes["configuration"]))
    assert "allowed open" not in lab.box.wait_log("late", "done")


def test_the_matrix_fails_when_isolation_is_off() -> None:
    with laboratory(Options(isolation_off=True)) as open_lab:
        assert "NOT ISOLATED" in open_lab.box.cluster.status().detail
        found = violations(open_lab)
        assert set(found) == set(CLASSES)
        for labels in found.values():
            assert {
                "denied",
                "service-pod",
                "api-server",
                "dns-udp",
                "canary",
                "metadata",
                "kubelet",
            } <= labels
            assert any(label.startswith("neighbour") and label.endswith("-6") for label in labels)
            assert any(label.startswith("neighbour") and label.endswith("-6-udp") for label in labels)
        assert any("heard" in open_lab.box.pod_logs(name) for name in open_lab.neighbours.values())


def _pod_network(box: TestBox, name: str) -> list[str]:
    """Command prefix that enters a pod's network namespace, found by the pod's control group."""
    uid = box.pod(name)["metadata"]["uid"]
    processes = next(Path("/sys/fs/cgroup").glob(f"**/*{uid}*/*/cgroup.procs"))
    return ["nsenter", "--net", "--target", processes.read_text().split()[0]]
