"""Who asks how many nodes there are, and what is told where no node is chosen for a volume."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from c2d_box.kubernetes.memory import MemoryCluster
from c2d_box.kubernetes.port import CLAIMS, NODES
from c2d_box.volumes.claims import (
    SELECTED_NODE,
    StorageClass,
    VolumeClaim,
    VolumeFolder,
    parse_claim,
    parse_volume,
    volume_manifest,
)
from c2d_box.volumes.cluster import KEPT_SECONDS, WatchedCluster
from c2d_box.volumes.controller import VolumeController
from c2d_box.volumes.disks import NodeDisk

ROOT = VolumeFolder("volume", 0, 0, 0o755)
AT_ONCE = StorageClass("c2d-jobs", "disk", ROOT, ())
WAITING = StorageClass("c2d-waiting", "disk", ROOT, (), waits=True)


def job(storage_class: str, node: str = "") -> VolumeClaim:
    return VolumeClaim("c2d-jobs", "job", "u1", "1", storage_class, 1 << 28, "", False, False, (), node, ())


class Several:
    """A cluster of several nodes, as the controller sees it."""

    def __init__(self, found: VolumeClaim) -> None:
        self.claims = {found.volume_name: found}
        self.volumes: dict[str, Any] = {}
        self.classes = {entry.name: entry for entry in (AT_ONCE, WAITING)}
        self.asked, self.events = 0, list[tuple[str, str]]()

    async def is_only_node(self) -> bool:
        self.asked += 1
        return False

    async def write_event(self, claim: VolumeClaim, reason: str, message: str) -> None:
        self.events.append((reason, message))


async def settled(cluster: Any, root: Path) -> None:
    controller = VolumeController(cluster, NodeDisk(root), "here")
    (name,) = cluster.claims
    await controller._reconcile_volume(name)


async def test_a_claim_that_binds_at_once_is_told_why_it_waits(tmp_path: Path) -> None:
    cluster = Several(job("c2d-jobs"))
    await settled(cluster, tmp_path)
    ((reason, message),) = cluster.events
    assert reason == "C2D-VOLUME-UNPLACED" and "WaitForFirstConsumer" in message
    assert NodeDisk(tmp_path).volume_names() == set(), "a disk was begun"


@pytest.mark.parametrize("node", ["", "elsewhere"])
async def test_where_a_scheduler_chooses_nobody_counts_nodes(tmp_path: Path, node: str) -> None:
    cluster = Several(job("c2d-waiting", node))
    await settled(cluster, tmp_path)
    assert (cluster.asked, cluster.events) == (0, [])


async def test_a_node_without_room_gives_the_claim_back(tmp_path: Path) -> None:
    """The scheduler does not choose again by itself: the job would wait until its time is over."""

    class Elsewhere(Several):
        async def give_back(self, claim: VolumeClaim) -> None:
            self.claims[claim.volume_name] = replace(claim, selected_node="")

    cluster = Elsewhere(replace(job("c2d-waiting", "here"), size=1 << 60))
    await settled(cluster, tmp_path)
    assert [reason for reason, _ in cluster.events] == ["C2D-VOLUME-NO-ROOM"]
    assert [found.selected_node for found in cluster.claims.values()] == [""]
    assert NodeDisk(tmp_path).volume_names() == set(), "a disk was begun"


async def test_giving_back_takes_off_this_nodes_name_and_no_other() -> None:
    api = MemoryCluster()
    metadata = {
        "namespace": "c2d-jobs",
        "name": "job",
        "uid": "u1",
        "annotations": {SELECTED_NODE: "here", "other": "stays"},
    }
    body = {"metadata": metadata, "spec": {"storageClassName": "c2d-waiting"}}
    cluster = WatchedCluster({"c2d-jobs": api}, lambda name: None)
    given = parse_claim(await api.create(CLAIMS, body))
    await cluster.give_back(given)
    left = await api.get(CLAIMS, "job")
    assert left is not None and left["metadata"]["annotations"] == {"other": "stays"}
    assert cluster.claims[given.volume_name].selected_node == ""
    await api.patch(CLAIMS, "job", {"metadata": {"annotations": {SELECTED_NODE: "elsewhere"}}})
    await cluster.give_back(given)
    left = await api.get(CLAIMS, "job")
    assert left is not None and left["metadata"]["annotations"][SELECTED_NODE] == "elsewhere"
    await api.vanish(CLAIMS, "job")
    await cluster.give_back(given)


async def test_the_number_of_nodes_is_asked_once_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("c2d_box.volumes.cluster.time.monotonic", lambda: now)
    nodes = MemoryCluster()
    await nodes.create(NODES, {"metadata": {"name": "first"}})
    cluster = WatchedCluster({"c2d-jobs": nodes}, lambda name: None)
    assert await cluster.is_only_node()
    await nodes.create(NODES, {"metadata": {"name": "second"}})
    assert await cluster.is_only_node(), "asked again too soon"
    now += KEPT_SECONDS
    assert not await cluster.is_only_node()


def test_the_volume_says_on_which_node_it_lies() -> None:
    made = volume_manifest(job("c2d-waiting", "second"), "/path", "second")
    assert made["spec"]["nodeAffinity"]["required"]["nodeSelectorTerms"][0]["matchExpressions"] == [
        {"key": "kubernetes.io/hostname", "operator": "In", "values": ["second"]}
    ]
    found = parse_volume(made, ["c2d-jobs"])
    assert found is not None and found.node == "second"


def test_the_schedulers_choice_is_read_from_the_claim() -> None:
    body = {
        "metadata": {
            "namespace": "c2d-jobs",
            "name": "job",
            "uid": "u1",
            "resourceVersion": "1",
            "annotations": {"volume.kubernetes.io/selected-node": "second"},
        },
        "spec": {"storageClassName": "c2d-jobs"},
    }
    assert parse_claim(body).selected_node == "second"


async def test_an_unforeseen_error_is_logged_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It used to end the task: nothing was done until the claim changed again."""
    cluster, tried = Several(job("c2d-jobs")), list[str]()
    controller = VolumeController(cluster, NodeDisk(tmp_path), "here")  # type: ignore[arg-type]

    async def next_action(name: str) -> None:
        tried.append(name)
        if len(tried) == 1:
            raise KeyError("a secret")

    monkeypatch.setattr(controller, "_next_action", next_action)
    (name,) = cluster.claims
    await controller._reconcile_volume(name)
    assert tried == [name, name]
    assert cluster.events == [("C2D-VOLUME-DISK", "KeyError")], "its text may hold what is nobody's business"
    assert [entry.exc_info is not None for entry in caplog.records] == [True]
