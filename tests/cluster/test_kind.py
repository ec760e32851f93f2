"""A box on a real kind cluster, in a Docker engine of the tests' own: demo, isolation, crashes, leftovers.

One box serves all tests here, in their order: it is made, used, broken and repaired, and forgotten.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox import docker_engine as docker
from sandbox.attacks.catalogue import ATTACKS
from sandbox.box import Box, open_box
from sandbox.bundle import Bundle
from sandbox.clusters.kind.record import KindRecord
from sandbox.clusters.port import ClusterDriver
from sandbox.demo.story import demo
from sandbox.home import BoxHome
from sandbox.install.chart_values import ServiceAddresses
from sandbox.install.cluster_choice import IMAGES
from sandbox.settings import BoxSettings
from sandbox.verbs.lifecycle.down import down, reset
from sandbox.verbs.lifecycle.selftest import selftest
from sandbox.verbs.lifecycle.status import status
from sandbox.verbs.lifecycle.up import up
from tests.cluster.conftest import algorithm_images, finish_verb, wait_until
from tests.cluster.docker_rig import Engine
from tests.cluster.isolation import (
    ALIVE,
    CLASSES,
    Laboratory,
    laboratory,
    pod_network,
    reached,
    violations,
)
from tests.cluster.kind_rig import KindParts, kind_box, kind_engine, kind_ground, left_in, node_name
from tests.cluster.native_rig import TestBox, probe_image
from tests.conftest import sample_cells
from tests.contract.cluster_suite import *  # noqa: F403 - the contract, asked of this driver

ALGORITHM = "algo-python-image"
HALF_MADE = ("cluster.tool", "cluster.containerd", "cluster.ready")
MOMENTS = (*HALF_MADE, "chart.secrets", "service.chain")
"""Steps of `up` at which it is killed."""
VICTIMS = ["node", "engine", "command, then up", *(f"command {moment}" for moment in MOMENTS)]

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(os.geteuid() != 0, reason="the tests' Docker engine needs root"),
]


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with kind_engine() as made:
        yield made


@pytest.fixture(scope="module")
def killed(seed: str, pytestconfig: pytest.Config) -> list[str]:
    """Who is killed in this run: a command at some moment; with --full everything there is, at each."""
    full = bool(pytestconfig.getoption("full"))
    return VICTIMS if full else sample_cells([f"command {moment}" for moment in HALF_MADE], 1, seed, full)


@pytest.fixture(scope="module")
def kind(engine: Engine) -> Iterator[Box]:
    """A box that is up on kind; forgotten at the end, with nothing left in the engine."""
    home = Path(tempfile.mkdtemp(prefix="c2d-k"))
    box = Box(BoxHome(home), BoxSettings(name="test", cluster="kind"))
    try:
        finish_verb(up(box, yes=True))
        yield box
    finally:
        finish_verb(reset(box, everything=True))
    assert left_in(engine) == {"containers": [], "volumes": [], "networks": []}
    assert not home.exists()


@pytest.fixture(scope="module")
def cluster(engine: Engine) -> Iterator[ClusterDriver]:
    """For the contract: a cluster of its own beside the box."""
    scratch = Path(tempfile.mkdtemp(prefix="c2d-c-"))
    made = kind_box(scratch / "home").cluster
    yield made
    finish_verb(made.delete())
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
        kind.cluster.allow_endpoints(
            ServiceAddresses.within_range(kind.cluster.service_cidr).job_isolation(kind.settings.result_store)
        )
        shutil.rmtree(scratch)


def test_the_battery_is_contained(kind: Box, seed: str, pytestconfig: pytest.Config) -> None:
    full = bool(pytestconfig.getoption("full"))
    attacks = sample_cells([attack for attack in ATTACKS if full or not attack.slow], 2, seed, full)
    report = finish_verb(selftest(kind, attacks))
    assert [(verdict.name, verdict.problem) for verdict in report.failed_verdicts] == []


def only(victim: str, killed: list[str]) -> None:
    if victim not in killed:
        pytest.skip("another one is killed in this run")


def test_the_whole_demo(kind: Box, tmp_path: Path) -> None:
    outcome = finish_verb(demo(kind, tmp_path, yes=True))
    assert outcome.results
    assert algorithm_images(kind, outcome.job_id) == {
        Bundle.open_cached([ALGORITHM]).image("algo-python").digest
    }


def test_images_on_the_node_have_the_digests_of_the_bundle(kind: Box) -> None:
    """So an algorithm that is published by its digest is the same one here and on a native node."""
    bundle = Bundle.open_cached([f"{name}-image" for name in IMAGES])
    there = {image.reference: image.digest for image in kind.cluster.list_images()}
    for name in IMAGES:
        image = bundle.image(name)
        assert there[image.reference] == there[image.pinned_reference] == image.digest


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


def test_a_killed_node_comes_back_with_its_rules(kind: Box, engine: Engine, killed: list[str]) -> None:
    """`kill -9` of everything on the node; the box's state, job ports and isolation are there again."""
    only("node", killed)
    name = node_name(TestBox(kind.cluster, KindParts(), []))
    subprocess.run(["docker", "kill", name], check=True, capture_output=True)
    wait_until(lambda: kind.cluster.status().state in ("stopped", "degraded"), what="the node is down")
    finish_verb(up(kind, yes=True))
    found = docker.find_container(docker.connect_engine(), name)
    assert found is not None
    assert "10.244.64.0/18 drop" in docker.run_in_container(found, "nft", "list", "table", "inet", "c2d")
    assert status(kind).state == "running"


def test_a_killed_engine_comes_back(kind: Box, engine: Engine, killed: list[str]) -> None:
    only("engine", killed)
    engine.kill()
    assert kind.cluster.status().state == "stopped"
    finish_verb(down(kind))
    engine.start()
    finish_verb(up(kind, yes=True))
    assert status(kind).state == "running"


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_killed_command_leaves_nothing_that_the_next_cannot_deal_with(
    engine: Engine, killed: list[str], moment: str
) -> None:
    """`kill -9` while a cluster is made: `down` takes away what is half made, and `reset` the rest. A command
    that is fast may have made the cluster before the kill reaches it: then `down` keeps it.
    """
    only(f"command {moment}", killed)
    home = Path(tempfile.mkdtemp(prefix="c2d-k"))
    kill_up_at(moment, home)
    box = Box(BoxHome(home), BoxSettings(name="killed", cluster="kind"))
    assert "killed" in str(left_in(engine))
    record = KindRecord.load_from(box.home.cluster_folder / "cluster.json")
    is_half_made = record is not None and record.phase == "creating"
    assert is_half_made or moment not in HALF_MADE[:-1]
    finish_verb(down(box))
    assert ("killed" not in str(left_in(engine))) == is_half_made
    finish_verb(reset(box, everything=True))
    assert "killed" not in str(left_in(engine))
    assert not home.exists()


def test_a_command_killed_is_repaired_by_up(engine: Engine, killed: list[str]) -> None:
    only("command, then up", killed)
    home = Path(tempfile.mkdtemp(prefix="c2d-k"))
    kill_up_at(MOMENTS[1], home)
    box = open_box(home)
    try:
        finish_verb(up(box, yes=True))
        assert status(box).state == "running"
    finally:
        finish_verb(reset(box, everything=True))
    assert "killed" not in str(left_in(engine))


def kill_up_at(moment: str, home: Path) -> None:
    """Run `up` as a process until it tells that step, and kill it there and then."""
    words = ["--home", str(home), "--name", "killed", "--yes", "--json"]
    command = [sys.executable, "-m", "sandbox.cli", *words, "up", "--cluster", "kind"]
    with subprocess.Popen(
        [*command, "--port-offset", "500"], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("{") and json.loads(line).get("event", {}).get("step") == moment:
                break
        process.kill()
