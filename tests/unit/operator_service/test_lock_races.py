"""Starts on one order, stopped and resumed between any two calls to Kubernetes."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from c2d_box import timestamps
from c2d_box.kubernetes.informer import Informer
from c2d_box.kubernetes.memory import MemoryCluster
from c2d_box.kubernetes.port import LEASES, SECRETS
from c2d_box.operator_service.arguments import OperatorRefusal
from c2d_box.operator_service.jobs import JobIndex
from c2d_box.operator_service.registering import JobRegistrar
from c2d_box.workflow import leases
from c2d_box.workflow.resource import WORKFLOWS
from tests.unit.operator_service.conftest import NoDatabase, job_payload, settings_for

A, B, C = "a" * 32, "b" * 32, "c" * 32
ORDER, SECOND_ORDER = "0xd:0xdt:0", "0xa:0xat:0"
PROVIDER = "0x" + "12" * 20


class Stepped:
    """A cluster whose every call waits until it is let go."""

    def __init__(self, cluster: MemoryCluster) -> None:
        self._cluster = cluster
        self.waiting = asyncio.Event()
        self._go = asyncio.Event()
        self.calls = 0

    def __getattr__(self, name: str) -> Any:
        called = getattr(self._cluster, name)

        async def later(*arguments: Any, **options: Any) -> Any:
            self.waiting.set()
            await self._go.wait()
            self._go.clear()
            self.calls += 1
            return await called(*arguments, **options)

        return later

    def go(self) -> None:
        self.waiting.clear()
        self._go.set()


class Starter:
    """One start, by a replica of operator-service that learns from the watch too late."""

    def __init__(self, cluster: MemoryCluster, folder: Path, job: str, orders: list[str]) -> None:
        self.job = job
        self._stepped = Stepped(cluster)
        chosen = settings_for(folder)
        jobs = JobIndex(
            Informer(self._stepped, WORKFLOWS),
            NoDatabase(chosen.postgres, chosen.secrets_dir),
        )
        registrar = JobRegistrar(chosen, self._stepped, jobs)
        asked = job_payload(jobId=job, orders=orders)
        self._task = asyncio.create_task(registrar.register_job(asked, self._authenticate))

    async def _authenticate(self) -> str:
        return PROVIDER

    async def step(self) -> bool:
        """Lets one call happen; False when there is none any more."""
        if not await self._stopped():
            return False
        self._stepped.go()
        await self._stopped()
        return True

    async def _stopped(self) -> bool:
        waiting = asyncio.create_task(self._stepped.waiting.wait())
        await asyncio.wait({waiting, self._task}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        return not self._task.done()

    async def outcome(self) -> bool:
        """Whether its job was started."""
        try:
            await self._task
        except OperatorRefusal as refusal:
            assert "already in use" in refusal.text
            return False
        return True

    async def dies(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


def granted(cluster: MemoryCluster) -> set[str]:
    """The jobs that exist and may fetch their inputs."""
    may = {name.removesuffix("-grants") for name in cluster.names(SECRETS)}
    return may & set(cluster.names(WORKFLOWS))


async def existing(cluster: MemoryCluster) -> set[str]:
    """The jobs that nobody has deleted (the engine takes the finalizer of those away)."""
    found, _ = await cluster.list(WORKFLOWS)
    return {body["metadata"]["name"] for body in found if "deletionTimestamp" not in body["metadata"]}


async def left_behind(cluster: MemoryCluster, job: str, *keys: str, seconds: float) -> None:
    for key in keys:
        await cluster.create(LEASES, leases.lease_body(key, job, time.time() - seconds))


def schedules(depth: int) -> Iterator[tuple[int, ...]]:
    """So many calls of A, then of B, then of A: at each border the one is stopped where it is. What is left
    follows, of B first."""
    lengths = range(10)
    return itertools.product(lengths, range(1, 12), *[(1, 2, 4)] * (depth - 2))


async def run(schedule: tuple[int, ...], starters: list[Starter], cluster: MemoryCluster) -> None:
    """One call at a time; at no moment may two jobs be granted."""
    for at, calls in enumerate((*schedule, 99, 99)):
        for _ in range(calls):
            going = await starters[at % 2].step()
            assert len(granted(cluster)) <= 1, "two jobs on one order"
            if not going:
                break


@pytest.fixture
async def finish() -> AsyncIterator[None]:
    yield
    pending = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in pending:
        task.cancel()
    await asyncio.gather(*pending, return_exceptions=True)


@pytest.mark.parametrize(
    ("orders", "depth"), [([ORDER], 3), ([ORDER, SECOND_ORDER], 2)], ids=["one order", "two orders"]
)
async def test_a_holder_who_comes_back_and_one_who_takes_over_never_both_run(
    tmp_path: Path, finish: None, orders: list[str], depth: int
) -> None:
    """A died between lock and WorkFlow more than a minute ago; now its call is repeated, and B comes."""
    winners: Counter[str] = Counter()
    for schedule in schedules(depth):
        cluster = MemoryCluster()
        await left_behind(cluster, A, *orders, seconds=leases.STALE_SECONDS + 5)
        starters = [Starter(cluster, tmp_path, job, orders) for job in (A, B)]
        await run(schedule, starters, cluster)
        started = [starter.job for starter in starters if await starter.outcome()]
        assert granted(cluster) == set(started) == await existing(cluster), schedule
        holders = {leases.lease_holder(await _lease(cluster, key)) for key in orders}
        assert not started or holders == set(started), schedule
        winners["".join(started)] += 1
    assert winners[A] and winners[B], winners


async def _lease(cluster: MemoryCluster, key: str) -> Any:
    return await cluster.get(LEASES, leases.order_lease_name(key)) or {}


@pytest.mark.parametrize("at", range(2, 8))
async def test_a_start_that_takes_longer_than_its_lock_lasts_loses_or_wins_alone(
    tmp_path: Path, finish: None, at: int
) -> None:
    """A slow API server between lock and WorkFlow: B finds A's lock stale at each point."""
    cluster = MemoryCluster()
    slow = Starter(cluster, tmp_path, A, [ORDER, SECOND_ORDER])
    for _ in range(at):
        await slow.step()
    for key in (ORDER, SECOND_ORDER):  # more than a minute later
        name = leases.order_lease_name(key)
        if await cluster.get(LEASES, name):
            old = {"spec": {"acquireTime": timestamps.rfc3339_text(time.time() - 61), "renewTime": None}}
            await cluster.patch(LEASES, name, old)
    other = Starter(cluster, tmp_path, B, [ORDER, SECOND_ORDER])
    while await other.step():
        assert len(granted(cluster)) <= 1
    while await slow.step():
        assert len(granted(cluster)) <= 1
    started = [starter.job for starter in (slow, other) if await starter.outcome()]
    assert len(started) == 1 and await existing(cluster) == granted(cluster) == set(started)


async def test_a_service_that_dies_before_it_held_its_locks_leaves_a_job_that_cannot_run(
    tmp_path: Path, finish: None
) -> None:
    """And whoever repeats its call finds that the order is another's."""
    cluster = MemoryCluster()
    dead = Starter(cluster, tmp_path, A, [ORDER])
    while WORKFLOWS.plural not in {plural for verb, plural, _ in cluster.calls if verb == "create"}:
        await dead.step()
    await dead.dies()
    await cluster.patch(LEASES, leases.order_lease_name(ORDER), leases.lease_takeover(C, time.time()))
    assert cluster.names(WORKFLOWS) == (A,) and not granted(cluster)
    again = Starter(cluster, tmp_path, A, [ORDER])
    while await again.step():
        pass
    assert not await again.outcome() and not await existing(cluster) and not granted(cluster)
    assert leases.lease_holder(await _lease(cluster, ORDER)) == C


async def test_a_refused_start_releases_no_lock_of_another(tmp_path: Path, finish: None) -> None:
    cluster = MemoryCluster()
    await left_behind(cluster, B, SECOND_ORDER, seconds=0)
    refused = Starter(cluster, tmp_path, A, [ORDER, SECOND_ORDER])
    while await refused.step():
        pass
    assert not await refused.outcome()
    assert cluster.names(LEASES) == (leases.order_lease_name(SECOND_ORDER),)
