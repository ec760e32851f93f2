"""The contract of ``sandbox.clusters.port``, asked of every driver this machine can run."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from c2d_box.errors import C2DError
from sandbox.clusters.port import Cluster, Isolation
from sandbox.progress import Event, run
from tests.cluster.native_rig import TestBox

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(os.geteuid() != 0, reason="the native driver needs root"),
]
DRIVERS = ["native"]


@pytest.fixture(scope="module", params=DRIVERS)
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    assert request.param in DRIVERS
    scratch = Path(tempfile.mkdtemp(prefix="c2d-c-"))
    made = TestBox.at(scratch / "home", scratch).cluster
    yield made
    run(made.delete(), lambda event: None)
    shutil.rmtree(scratch)


def drive(cluster: Cluster, verb: str) -> list[Event]:
    events: list[Event] = []
    run(getattr(cluster, verb)(), events.append)
    return events


def test_life_of_a_cluster(cluster: Cluster) -> None:
    assert cluster.status().state == "absent"
    drive(cluster, "stop")
    drive(cluster, "delete")
    events = drive(cluster, "create")
    assert (events[-1].step, events[-1].state) == ("cluster", "done")
    assert cluster.status().state == "running"
    assert stat.S_IMODE(cluster.kubeconfig.stat().st_mode) == 0o600
    assert [event.state for event in drive(cluster, "create")] == ["skipped"]
    cluster.publish({})
    cluster.allow(Isolation())
    assert cluster.images()
    assert cluster.resources().pss_bytes > 0
    assert cluster.logs(cluster.status().components[0].name) is not None
    drive(cluster, "stop")
    assert cluster.status().state == "stopped"
    drive(cluster, "stop")
    with pytest.raises(C2DError) as problem:
        cluster.images()
    assert problem.value.code == "C2D-NOT-RUNNING"
    drive(cluster, "create")
    drive(cluster, "delete")
    assert cluster.status().state == "absent"
    assert not cluster.kubeconfig.exists()


def test_roles_name_three_different_handlers(cluster: Cluster) -> None:
    assert set(cluster.runtime_classes) == {"algorithm", "configuration", "publishing"}
    assert len(set(cluster.runtime_classes.values())) == 3
