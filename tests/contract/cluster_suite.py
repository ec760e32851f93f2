"""The contract of a cluster's port: a driver's test module imports it and has a fixture ``cluster``."""

from __future__ import annotations

import stat

import pytest

from c2d_box.errors import C2DError
from sandbox.clusters.port import Cluster, Isolation
from sandbox.progress import Event, run

__all__ = ["test_life_of_a_cluster", "test_roles_name_three_different_handlers"]


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
