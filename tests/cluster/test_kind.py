"""A box on a real kind cluster, in a Docker engine of the tests' own: demo, isolation, crashes, leftovers.

One box serves all tests here, in their order: it is made, used, broken and repaired, and forgotten.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.box import Box, Settings
from sandbox.bundle import build
from sandbox.bundle.commands import Commands
from sandbox.bundle.machine import install, missing_packages
from sandbox.clusters.kind import engine as docker
from sandbox.clusters.port import Cluster
from sandbox.demo.story import demo
from sandbox.home import Home
from sandbox.verbs.down import down, reset
from sandbox.verbs.release import Addresses
from sandbox.verbs.status import status
from sandbox.verbs.up import up
from tests.cluster.conftest import narrate, perform, until
from tests.cluster.docker_rig import Engine, docker_engine
from tests.cluster.isolation import (
    ALIVE,
    CLASSES,
    Laboratory,
    laboratory,
    pod_network,
    reached,
    violations,
)
from tests.cluster.kind_rig import PARTS, KindParts, kind_box, kind_ground, left_in, node_name
from tests.cluster.native_rig import TestBox, probe_image
from tests.contract.cluster_suite import *  # noqa: F403 - the contract, asked of this driver

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(os.geteuid() != 0, reason="the tests' Docker engine needs root"),
]


@pytest.fixture(scope="module")
def engine(pytestconfig: pytest.Config) -> Iterator[Engine]:
    """A Docker engine; its package is installed where it is missing, which is said."""
    import threading

    if not (pytestconfig.getoption("full") or os.environ.get("C2D_TEST_KIND")):
        pytest.skip("takes minutes: --full, or C2D_TEST_KIND=1")
    if shutil.which("dockerd", path="/usr/sbin:/usr/bin:/sbin") is None:
        print("installing the Debian package docker.io for the tests' own Docker engine")
        log = Path(tempfile.gettempdir()) / "c2d-docker-install.log"
        install(missing_packages({"docker"}), Commands("docker", log, threading.Event()))
    perform(build(PARTS, yes=True))
    folder = Path(tempfile.mkdtemp(prefix="c2d-dk-"))
    with docker_engine(folder) as made:
        yield made


@pytest.fixture(scope="module")
def kind(engine: Engine) -> Iterator[Box]:
    """A box that is up on kind; forgotten at the end, with nothing left in the engine."""
    home = Path(tempfile.mkdtemp(prefix="c2d-k"))
    box = Box(Home(home), Settings(name="test", cluster="kind"))
    try:
        perform(up(box, yes=True))
        yield box
    finally:
        perform(reset(box, everything=True))
    assert left_in(engine) == {"containers": [], "volumes": [], "networks": []}
    assert not home.exists()


@pytest.fixture(scope="module")
def cluster(engine: Engine) -> Iterator[Cluster]:
    """For the contract: a cluster of its own beside the box."""
    scratch = Path(tempfile.mkdtemp(prefix="c2d-c-"))
    made = kind_box(scratch / "home").cluster
    yield made
    perform(made.delete())
    shutil.rmtree(scratch)


@pytest.fixture(scope="module")
def lab(kind: Box, engine: Engine) -> Iterator[Laboratory]:
    scratch = Path(tempfile.mkdtemp(prefix="c2d-i-"))
    archive = probe_image(scratch)
    rig = TestBox(kind.cluster, KindParts(), [])
    rig.load(archive)
    try:
        with laboratory(rig, kind_ground(rig, engine), archive, scratch) as made:
            yield made
    finally:
        rig.kubectl("delete", "namespace", "probe", "--wait=false")
        kind.cluster.allow(Addresses.within(kind.cluster.service_cidr).isolation(kind.settings.result_store))
        shutil.rmtree(scratch)


def test_the_whole_demo(kind: Box, tmp_path: Path) -> None:
    assert perform(demo(kind, tmp_path, yes=True)).results


def test_status_names_the_parts(kind: Box) -> None:
    seen = status(kind)
    assert seen.state == "running", seen
    assert {"node", "kubelet", "containerd", "c2d-node", "kube-apiserver", "provider"} <= {
        part.name for part in seen.parts
    }


def test_targets_are_alive_from_a_routed_place(lab: Laboratory) -> None:
    assert reached(lab, "routed") >= ALIVE
    assert lab.canary.heard >= 2


def test_every_class_reaches_what_it_may_and_no_more(lab: Laboratory) -> None:
    for role in CLASSES:
        assert set(lab.targets) <= set(lab.results[role]), role
    assert violations(lab) == {}
    assert (reached(lab, "configuration"), reached(lab, "publishing")) == ({"allowed"}, {"results"})


def test_service_pods_reach_neither_kubelet_nor_the_machine(lab: Laboratory) -> None:
    assert not {"kubelet", "machine", "gateway"} & reached(lab, "routed")


def test_the_algorithms_pod_has_no_link_at_all(lab: Laboratory) -> None:
    inside = pod_network(lab.box, "prober-algorithm")
    links = subprocess.run([*inside, "ip", "-o", "link"], capture_output=True, text=True, check=True).stdout
    assert [line.split(": ")[1] for line in links.splitlines()] == ["lo"]


def test_a_killed_node_comes_back_with_its_rules(kind: Box, engine: Engine) -> None:
    """`kill -9` of everything on the node; the box's state, job ports and isolation are there again."""
    name = node_name(TestBox(kind.cluster, KindParts(), []))
    subprocess.run(["docker", "kill", name], check=True, capture_output=True)
    until(lambda: kind.cluster.status().state in ("stopped", "degraded"), what="the node is down")
    perform(up(kind, yes=True))
    found = docker.container(docker.connect(), name)
    assert found is not None
    assert "10.244.64.0/18 drop" in docker.execute(found, "nft", "list", "table", "inet", "c2d")


def test_a_killed_engine_comes_back(kind: Box, engine: Engine) -> None:
    engine.kill()
    assert kind.cluster.status().state == "stopped"
    perform(down(kind))
    engine.start()
    perform(up(kind, yes=True))
    assert status(kind).state == "running"


def test_a_killed_command_is_repaired_by_the_next(engine: Engine) -> None:
    """`kill -9` in the middle of the cluster's making; what is half made goes away with `down`."""
    home = Path(tempfile.mkdtemp(prefix="c2d-k"))
    command = [sys.executable, "-m", "sandbox.cli", "--home", str(home), "--name", "killed", "--yes"]
    process = subprocess.Popen([*command, "up", "--cluster", "kind", "--port-offset", "500"])
    record = home / "cluster" / "cluster.json"
    until(lambda: record.exists() and "killed" in str(left_in(engine)), 120, "a half made cluster")
    process.kill()
    process.wait()
    before = {name for name in left_in(engine)["networks"] if "killed" in name}
    assert before
    box = Box(Home(home), Settings(name="killed", cluster="kind"))
    for event in down(box):
        narrate(event)
    assert not {name for name in left_in(engine)["networks"] if "killed" in name}
    perform(reset(box, everything=True))
