"""What must never be left, and must always come back: kill -9 of anything, at any moment; bad
circumstances."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from c2d_box.errors import C2DError
from sandbox.clusters.port import ComponentStatus
from sandbox.home import BoxHome
from tests.cluster.native_rig import (
    Programs,
    TestBox,
    eventually,
    nothing_left,
    pod,
    prepared_namespace,
    probe_image,
)

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(os.geteuid() != 0, reason="the supervisor needs root"),
]
CREATE = """
import sys
from pathlib import Path
from tests.cluster.native_rig import TestBox
TestBox.at(Path(sys.argv[1]), Path(sys.argv[2])).create()
"""


@pytest.fixture
def scratch() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="c2d-k-"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def box(scratch: Path) -> Iterator[TestBox]:
    made = TestBox.at(scratch / "home", scratch)
    with nothing_left(scratch / "home"):
        try:
            yield made
        finally:
            made.delete()


def start_create(scratch: Path) -> subprocess.Popen[bytes]:
    """``create`` in a process group of its own, as a shell would start it."""
    return subprocess.Popen(
        [sys.executable, "-c", CREATE, str(scratch / "home"), str(scratch)],
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        cwd=Path(__file__).parents[2],
    )


def test_each_killed_component_comes_back_and_is_counted(box: TestBox) -> None:
    box.create()
    for name in [part.name for part in box.cluster.status().components]:
        before = _ready(box, name)
        assert before.pid is not None
        os.kill(before.pid, signal.SIGKILL)
        eventually(partial(_restarted, box, name, before.restarts), 60, lambda: str(box.cluster.status()))
    eventually(lambda: box.cluster.status().state == "running", 60, lambda: str(box.cluster.status()))
    assert "signal 9" in _part(box, "etcd").last_error
    eventually(lambda: box.get("nodes")["items"], 20, lambda: "the API does not answer")


def _part(box: TestBox, name: str) -> ComponentStatus:
    parts: tuple[ComponentStatus, ...] = box.cluster.status().components
    return next(part for part in parts if part.name == name)


def _ready(box: TestBox, name: str) -> ComponentStatus:
    def ready() -> ComponentStatus | None:
        part = _part(box, name)
        return part if part.state == "ready" and part.pid else None

    found: ComponentStatus = eventually(ready, 60, lambda: str(box.cluster.status()))
    return found


def _restarted(box: TestBox, name: str, restarts: int) -> bool:
    part = _part(box, name)
    return part.restarts > restarts and part.state == "ready"


@pytest.mark.parametrize("role", ["anchor", "init"])
def test_killing_what_holds_the_box_ends_all_of_it_and_create_resumes(
    box: TestBox, scratch: Path, role: str
) -> None:
    box.create()
    prepared_namespace(box)
    box.load(probe_image(scratch))
    box.apply(pod("running", ["serve", "x", "7000"]))
    box.wait_running("running")
    box.holder(role).kill_process()
    eventually(lambda: not box.holder_lives(), 5, lambda: "the box outlived its holder")
    box.create()
    eventually(lambda: box.pod_logs_or_nothing("running"), 30, lambda: "the pod did not come back")


def test_killing_every_process_at_once_then_create(box: TestBox) -> None:
    box.create()
    inside = [box.holder("anchor").pid, *box.processes()]
    for pid in inside:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    box.create()
    assert box.cluster.status().state == "running"


def test_stop_after_the_anchor_was_killed_sweeps_up(box: TestBox, scratch: Path) -> None:
    with nothing_left(scratch / "home"):
        box.create()
        box.holder("anchor").kill_process()
        box.stop()


@pytest.mark.parametrize("blow", [signal.SIGINT, signal.SIGKILL])
def test_create_interrupted_anywhere_leaves_nothing_after_stop(
    box: TestBox, scratch: Path, blow: signal.Signals, seed: str
) -> None:
    chance = random.Random(f"{seed}{blow}")
    for _ in range(4):
        with nothing_left(scratch / "home"):
            creator = start_create(scratch)
            time.sleep(chance.choice((0.3, 0.5, 0.7, 1.0, 1.5, 3.0)) * chance.uniform(0.8, 1.2))
            os.killpg(creator.pid, blow)
            creator.wait()
            box.stop()
    box.create()
    assert box.cluster.status().state == "running"


def test_create_interrupted_then_create_again(box: TestBox, scratch: Path, seed: str) -> None:
    chance = random.Random(seed)
    for _ in range(3):
        creator = start_create(scratch)
        time.sleep(chance.uniform(0.2, 2.5))
        os.killpg(creator.pid, signal.SIGKILL)
        creator.wait()
    box.create()
    assert box.cluster.status().state == "running"


def test_second_create_is_told_who_is_first(box: TestBox, scratch: Path) -> None:
    creator = start_create(scratch)
    lock = scratch / "home/cluster/create.lock"
    eventually(lambda: lock.exists() and lock.read_text(), 10, lambda: "no creator")
    with pytest.raises(C2DError) as problem:
        box.create()
    assert problem.value.code == "C2D-UP-IN-PROGRESS"
    assert str(creator.pid) in problem.value.message
    assert creator.wait() == 0


class Broken:
    """A bundle in which one program is another."""

    def __init__(self, sound: Programs, name: str, instead: str, version: str = "") -> None:
        self._sound, self._name, self._instead = sound, name, instead
        self.kubernetes_version = version or sound.kubernetes_version

    def binary(self, name: str) -> Path:
        return Path(self._instead) if name == self._name else self._sound.binary(name)

    def image(self, name: str) -> object:
        return self._sound.image(name)


def test_component_that_will_not_start_is_named_with_its_last_lines(scratch: Path, box: TestBox) -> None:
    talker = scratch / "talker"
    talker.write_text("#!/bin/sh\necho my config is wrong >&2\nexit 3\n")
    talker.chmod(0o755)
    broken = box.with_programs(Broken(box.bundle, "containerd", str(talker)))
    with nothing_left(scratch / "home"), pytest.raises(C2DError) as problem:
        broken.create()
    assert problem.value.code == "C2D-COMPONENT-FAILED"
    assert "containerd" in problem.value.message
    assert "my config is wrong" in problem.value.message
    box.create()


def test_bundle_of_another_version_is_refused(box: TestBox) -> None:
    box.create()
    box.stop()
    other = box.with_programs(Broken(box.bundle, "", "", version="v1.99.0"))
    with pytest.raises(C2DError) as problem:
        other.create()
    assert problem.value.code == "C2D-BUNDLE-VERSION"
    assert box.cluster.status().state == "stopped"


def test_full_disk_is_said_before_anything_starts(box: TestBox, scratch: Path) -> None:
    small = scratch / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "none", small], check=True)
    try:
        cramped = TestBox.at(small / "home", scratch)
        with pytest.raises(C2DError) as problem:
            cramped.create()
        assert problem.value.code == "C2D-DISK-FULL"
        assert problem.value.next_step
    finally:
        subprocess.run(["umount", small], check=True)


def test_two_boxes_run_side_by_side(box: TestBox, scratch: Path) -> None:
    other = TestBox.at(scratch / "other", scratch, name="second")
    try:
        box.create()
        other.create()
        assert box.cluster.node_ip != other.cluster.node_ip
        for each, name in ((box, "c2d"), (other, "second")):
            assert [item["metadata"]["name"] for item in each.get("nodes")["items"]] == [name]
    finally:
        other.delete()
    assert box.cluster.status().state == "running"


def test_what_was_never_created_is_stopped_and_deleted_in_peace(box: TestBox) -> None:
    assert box.cluster.status().state == "absent"
    box.stop()
    box.delete()
    assert not BoxHome(box.cluster.home.path).cluster_folder.exists()
