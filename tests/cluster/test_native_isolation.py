"""What a job's pod can reach, asked from inside real pods: the connect matrix of each runtime class.

The same matrix on every driver; it must fail when isolation is switched off.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from sandbox.clusters.driver_record import ClusterOptions
from sandbox.clusters.native.record import NativeRecord
from sandbox.clusters.port import JobIsolation
from tests.cluster.isolation import (
    ALIVE,
    CLASSES,
    Ground,
    Laboratory,
    laboratory,
    pod_network,
    reached,
    violations,
)
from tests.cluster.native_rig import TestBox, nothing_left, pod, probe_image

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(os.geteuid() != 0, reason="the supervisor needs root"),
]


def native_ground(box: TestBox) -> Ground:
    record = NativeRecord.load_from(box.cluster.home.cluster_folder / "cluster.json")
    assert record is not None
    ranges = record.address_ranges
    return Ground(
        node=["nsenter", "--net", "--target", str(box.init_pid)],
        beside=[],
        node_ip=str(ranges.node_ip),
        machine_ip=str(ranges.host_ip),
        dns_ip=str(ranges.dns_ip),
        services=str(ranges.services),
        pods=str(ranges.block),
        gateways=(str(ranges.staging[1]), str(ranges.publishing[1])),
    )


@contextmanager
def native_laboratory(options: ClusterOptions) -> Iterator[Laboratory]:
    scratch = Path(tempfile.mkdtemp(prefix="c2d-i-"))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, scratch, ignore_errors=True)
        box = TestBox.at(scratch / "home", scratch, options)
        stack.enter_context(nothing_left(scratch / "home"))
        stack.callback(box.delete)
        box.create()
        archive = probe_image(scratch)
        box.load(archive)
        yield stack.enter_context(laboratory(box, native_ground(box), archive, scratch))


@pytest.fixture(scope="module")
def lab() -> Iterator[Laboratory]:
    with native_laboratory(ClusterOptions()) as made:
        yield made


def test_targets_are_alive_from_a_routed_place(lab: Laboratory) -> None:
    alive = reached(lab, "routed")
    assert alive >= ALIVE
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
    inside = pod_network(lab.box, "prober-algorithm")
    routes = subprocess.run([*inside, "ip", "-4", "route"], capture_output=True, text=True, check=True).stdout
    assert len(routes.splitlines()) == 1
    assert "via" not in routes


def test_neighbours_do_not_answer_arp(lab: Laboratory) -> None:
    for role, name in lab.neighbours.items():
        inside = pod_network(lab.box, f"prober-{role}")
        table = subprocess.run([*inside, "ip", "neigh"], capture_output=True, text=True, check=True).stdout
        address = lab.box.pod(name)["status"]["podIP"]
        for line in table.splitlines():
            assert not (line.startswith(f"{address} ") and "lladdr" in line), (role, line)


def test_node_has_no_ipv6_and_no_default_route(lab: Laboratory) -> None:
    for words in (("ip", "-6", "address"), ("ip", "route", "show", "default")):
        assert not subprocess.run(
            [*lab.ground.node, *words], capture_output=True, text=True, check=True
        ).stdout


def test_the_node_answers_for_pods_at_once(lab: Laboratory) -> None:
    enter = ["nsenter", "--net", "--target", str(lab.box.init_pid)]
    delay = [*enter, "cat", "/proc/sys/net/ipv4/neigh/pods/proxy_delay"]
    assert subprocess.run(delay, capture_output=True, text=True, check=True).stdout == "0\n"


def test_an_allowance_taken_back_is_closed(lab: Laboratory) -> None:
    lab.box.cluster.allow_endpoints(JobIsolation())
    target = f"allowed {lab.targets['allowed']}".split()
    lab.box.apply(pod("late", ["dial", *target], lab.box.cluster.runtime_classes["configuration"]))
    assert "allowed open" not in lab.box.wait_log("late", "done")


def test_the_matrix_fails_when_isolation_is_off() -> None:
    with native_laboratory(ClusterOptions(isolation_off=True)) as open_lab:
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
