"""The provisioner's view of the cluster: what it follows, what it misses, what it writes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from c2d_box.kubernetes.memory import MemoryCluster
from c2d_box.kubernetes.port import CLAIMS, EVENTS, STORAGE_CLASSES, VOLUMES, Object
from c2d_box.volumes.claims import FINALIZER, PROVISIONER, VolumeClaim, parse_claim
from c2d_box.volumes.cluster import WatchedCluster

CLASS = {"metadata": {"name": "c2d-jobs"}, "provisioner": PROVISIONER}


def request(name: str, size: str = "1Mi", **metadata: Any) -> Object:
    spec = {"storageClassName": "c2d-jobs", "resources": {"requests": {"storage": size}}}
    return {"metadata": {"namespace": "jobs", "name": name, "uid": name, **metadata}, "spec": spec}


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.01)


@pytest.fixture
async def api() -> MemoryCluster:
    return MemoryCluster()


@pytest.fixture
async def told() -> list[str]:
    return []


@pytest.fixture
async def cluster(api: MemoryCluster, told: list[str]) -> AsyncIterator[WatchedCluster]:
    made = WatchedCluster({"jobs": api}, told.append)
    yield made
    await made.stop_watches()


async def found(api: MemoryCluster, cluster: WatchedCluster, body: Object) -> VolumeClaim:
    """Create a claim, and return it once the provisioner sees it."""
    made = parse_claim(await api.create(CLAIMS, body))
    await until(lambda: made.volume_name in cluster.claims)
    return made


async def test_claims_volumes_and_classes_are_followed(
    api: MemoryCluster, cluster: WatchedCluster, told: list[str]
) -> None:
    await api.create(STORAGE_CLASSES, CLASS)
    await api.create(CLAIMS, request("before"))
    assert not cluster.is_current
    await cluster.start_watches()
    assert cluster.is_current and cluster.listed.is_set()
    assert cluster.classes.keys() == {"c2d-jobs"} and cluster.claims.keys() == {"pvc-before"}
    later = await found(api, cluster, request("later"))
    await cluster.create_volume(later, "/path", "here")
    assert cluster.volumes["pvc-later"].node == "here"
    await cluster.create_volume(later, "/path", "here")
    await cluster.delete_volume(cluster.volumes["pvc-later"])
    await until(lambda: not cluster.volumes)
    await api.vanish(CLAIMS, "before")
    await until(lambda: cluster.claims.keys() == {"pvc-later"})
    assert {"pvc-before", "pvc-later"} <= set(told)


async def test_a_claim_that_cannot_be_read_does_not_end_the_service(
    api: MemoryCluster, cluster: WatchedCluster
) -> None:
    """Kubernetes takes ``1e9`` for a size; the provisioner used to end on it, again after each start."""
    await api.create(CLAIMS, request("strange", "1e9"))
    await cluster.start_watches()
    await found(api, cluster, request("good"))
    assert cluster.is_current


async def test_a_claim_is_held_and_let_go(api: MemoryCluster, cluster: WatchedCluster) -> None:
    await cluster.start_watches()
    for finalizers in ([], ["kubernetes.io/pvc-protection"]):
        made = await found(api, cluster, request(f"job-{len(finalizers)}", finalizers=finalizers))
        await cluster.add_finalizer(made)
        held = cluster.claims[made.volume_name]
        assert held.finalizers == (*finalizers, FINALIZER)
        await cluster.remove_finalizer(made)  # of an older version
        assert cluster.claims[made.volume_name].is_protected
        await api.delete(CLAIMS, made.name)
        await api.patch(CLAIMS, made.name, {"metadata": {"finalizers": [FINALIZER]}})
        await until(lambda name=made.volume_name: cluster.claims[name].is_released)  # type: ignore[misc]
        released = cluster.claims[made.volume_name]
        await cluster.remove_finalizer(released)
        assert made.volume_name not in cluster.claims and await api.get(CLAIMS, made.name) is None
        await cluster.remove_finalizer(released)  # which is gone


async def test_one_event_says_why_however_often_it_is_said(
    api: MemoryCluster, cluster: WatchedCluster
) -> None:
    made = parse_claim(await api.create(CLAIMS, request("job")))
    for message in ("first", "again", "second"):
        await cluster.write_event(made, "C2D-VOLUME-NO-ROOM", message)
    (event,), _ = await api.list(EVENTS)
    assert (event["message"], event["involvedObject"]["uid"], event["count"]) == ("second", "job", 3)
    assert not (await api.list(VOLUMES))[0]
