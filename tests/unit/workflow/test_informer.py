"""The informer recovers from whatever ends its watch, or says that its copy is not current."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from c2d_box.kubernetes.informer import Informer
from c2d_box.kubernetes.list_watch import BROKEN_SECONDS
from c2d_box.kubernetes.memory import MemoryCluster
from c2d_box.kubernetes.port import Object, ResourceKind, WatchEvent
from c2d_box.workflow.resource import WORKFLOWS


class BreakingCluster(MemoryCluster):
    """A cluster in memory whose lists and watches raise what they are told to, once each."""

    def __init__(self) -> None:
        super().__init__()
        self.list_errors: list[Exception] = []
        self.watch_errors: list[Exception] = []
        self.lists = 0

    async def list(self, resource: ResourceKind, selector: str = "") -> tuple[list[Object], str]:
        self.lists += 1
        if self.list_errors:
            raise self.list_errors.pop(0)
        return await super().list(resource, selector)

    async def watch(
        self, resource: ResourceKind, version: str, selector: str = ""
    ) -> AsyncIterator[WatchEvent]:
        if self.watch_errors:
            raise self.watch_errors.pop(0)
        async for change in super().watch(resource, version, selector):
            yield change


def workflow(name: str) -> Object:
    return {"metadata": {"name": name}, "spec": {}}


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.01)


@pytest.fixture
async def cluster() -> BreakingCluster:
    return BreakingCluster()


@pytest.fixture
async def informer(cluster: BreakingCluster) -> AsyncIterator[Informer]:
    made = Informer(cluster, WORKFLOWS)
    yield made
    await made.stop()


UNFORESEEN: list[Exception] = [
    json.JSONDecodeError("Expecting value", "<html>", 0),
    OSError("the token file is being replaced"),
    KeyError("metadata"),
    RecursionError("maximum recursion depth exceeded"),
]


@pytest.mark.parametrize("error", UNFORESEEN, ids=lambda error: type(error).__name__)
async def test_an_unforeseen_error_of_the_watch_ends_in_a_new_list(
    cluster: BreakingCluster, informer: Informer, error: Exception
) -> None:
    cluster.watch_errors.append(error)
    informer.start()
    await until(lambda: cluster.lists >= 2)
    await cluster.create(WORKFLOWS, workflow("later"))
    await until(lambda: informer.get("later") is not None)
    assert informer.is_current


async def test_a_listener_that_fails_on_one_object_does_not_end_the_watch(
    cluster: BreakingCluster, informer: Informer
) -> None:
    told: list[str] = []

    def fail_on_poison(body: Object, deleted: bool) -> None:
        if body["metadata"]["name"] == "poison":
            raise TypeError("unforeseen shape")

    informer.listen(fail_on_poison)
    informer.listen(lambda body, deleted: told.append(body["metadata"]["name"]))
    informer.start()
    await informer.synced.wait()
    for name in ("poison", "good"):
        await cluster.create(WORKFLOWS, workflow(name))
    await until(lambda: "good" in told)
    assert told == ["poison", "good"]
    assert cluster.lists == 1


async def test_an_informer_that_cannot_follow_says_so(cluster: BreakingCluster) -> None:
    now = 1000.0
    informer = Informer(cluster, WORKFLOWS, clock=lambda: now)
    assert not informer.is_current
    informer.start()
    await informer.synced.wait()
    assert informer.is_current
    cluster.list_errors = [OSError("away") for _ in range(1000)]
    cluster.watch_errors.append(OSError("away"))
    await cluster.create(WORKFLOWS, workflow("wakes-the-watch"))
    informer.list_watch.note_failure(now)
    now += BROKEN_SECONDS + 1
    assert not informer.is_current
    await informer.stop()
    assert not informer.is_current


async def test_breaks_long_ago_do_not_make_the_next_one_longer(
    cluster: BreakingCluster, informer: Informer
) -> None:
    """Five breaks in a lifetime used to make every later one cost five seconds of blindness."""
    informer.start()
    await informer.synced.wait()
    for number in range(8):
        informer.list_watch.note_failure(time.monotonic())
        await cluster.create(WORKFLOWS, workflow(f"news-{number}"))
        await until(lambda name=f"news-{number}": informer.get(name) is not None)  # type: ignore[misc]
    assert informer.list_watch._backoff.failures == 0


async def test_a_list_counts_also_where_its_versions_are_lower(
    cluster: BreakingCluster, informer: Informer
) -> None:
    """As after a restore of etcd."""
    for name in ("stays", "was-lost"):
        informer.put({"metadata": {"name": name, "resourceVersion": "900", "uid": "u"}, "spec": {"old": 1}})
    await cluster.create(WORKFLOWS, workflow("stays"))
    informer.start()
    await informer.synced.wait()
    stays = informer.get("stays")
    assert stays is not None
    assert "old" not in stays["spec"]
    assert informer.get("was-lost") is None


async def test_what_is_written_while_a_list_is_on_its_way_is_kept(informer: Informer) -> None:
    class SlowList(BreakingCluster):
        async def list(self, resource: ResourceKind, selector: str = "") -> tuple[list[Object], str]:
            found = await super().list(resource, selector)
            written: dict[str, Any] = {"name": "written", "resourceVersion": "7", "uid": "w"}
            slow.put({"metadata": written, "spec": {}})
            return found

    slow = Informer(SlowList(), WORKFLOWS)
    slow.start()
    await slow.synced.wait()
    assert slow.get("written") is not None
    await slow.stop()


async def test_an_object_that_was_replaced_unseen_is_told_as_deleted(
    cluster: BreakingCluster, informer: Informer
) -> None:
    """A volume whose claim was deleted and made anew while the watch was down would never be erased."""
    told: list[tuple[str, bool]] = []
    informer.listen(lambda body, deleted: told.append((body["metadata"]["uid"], deleted)))
    for version, uid in ("1", "old"), ("2", "new"):
        informer.put({"metadata": {"name": "same", "resourceVersion": version, "uid": uid}})
    informer.begin_list()
    informer.replace_all([{"metadata": {"name": "same", "resourceVersion": "1", "uid": "restored"}}], "1")
    assert told == [("old", False), ("old", True), ("new", False), ("new", True), ("restored", False)]
