"""The engine's watches notice what happened while they were broken, and survive a job whose rule fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import pytest

from c2d_box.kubernetes.list_watch import BROKEN_SECONDS
from c2d_box.kubernetes.memory import MemoryCluster
from c2d_box.kubernetes.port import PODS, Object, ResourceKind, WatchEvent
from c2d_box.operator_engine.engine import compose_engine
from c2d_box.operator_engine.pod_api.evidence_signer import EvidenceSigner
from c2d_box.operator_engine.pod_api.routes import pod_application
from c2d_box.operator_engine.stage_tokens import StageTokens
from c2d_box.operator_engine.watches import EngineWatches
from c2d_box.workflow.resource import WORKFLOWS, WorkFlow
from tests.unit.operator_engine.conftest import Rows, make_settings, workflow_body

JOB, OTHER = "a" * 32, "b" * 32
POD = {"metadata": {"name": f"{JOB}-algorithm", "labels": {"c2d.oceanprotocol.com/job": JOB}}}


class BreakableCluster(MemoryCluster):
    """A cluster in memory whose watches end with an error when ``broken`` is set, and cannot be begun anew
    until it is cleared."""

    def __init__(self) -> None:
        super().__init__()
        self.broken = asyncio.Event()

    async def watch(
        self, resource: ResourceKind, version: str, selector: str = ""
    ) -> AsyncIterator[WatchEvent]:
        changes = super().watch(resource, version, selector)
        while True:
            following = asyncio.ensure_future(anext(changes))
            breaking = asyncio.ensure_future(self.broken.wait())
            await asyncio.wait({following, breaking}, return_when=asyncio.FIRST_COMPLETED)
            breaking.cancel()
            if self.broken.is_set():
                following.cancel()
                raise OSError("the connection was cut")
            yield following.result()


class FailingRows(Rows):
    """A table writer that cannot take one job's row."""

    def enqueue_row(self, workflow: WorkFlow) -> None:
        if workflow.job == JOB:
            raise TypeError("unforeseen shape")
        super().enqueue_row(workflow)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("kind", [WORKFLOWS, PODS], ids=lambda kind: kind.plural)
async def test_deletions_during_a_broken_watch_are_noticed_before_the_upkeep(
    secrets: Path, kind: ResourceKind
) -> None:
    cluster = BreakableCluster()
    engine = compose_engine(
        cluster, make_settings(), StageTokens({}), Rows(), "c2d-gate-x", leads=lambda: False
    )
    controller = engine.controller
    await cluster.create(WORKFLOWS, workflow_body(JOB))
    await cluster.create(PODS, POD)
    await controller.resync()
    following = asyncio.create_task(EngineWatches(cluster, controller).follow_cluster())
    await until(lambda: len(controller.job_cache.pods(JOB)) == 1)
    cluster.broken.set()
    await asyncio.sleep(0.05)
    await cluster.vanish(kind, JOB if kind is WORKFLOWS else POD["metadata"]["name"])  # type: ignore[arg-type]
    cluster.broken.clear()
    if kind is WORKFLOWS:
        await until(lambda: controller.job_cache.workflow(JOB) is None)
    else:
        await until(lambda: not controller.job_cache.pods(JOB))
    following.cancel()


async def test_a_job_whose_rule_fails_keeps_no_news_of_others_away(secrets: Path) -> None:
    cluster, rows = BreakableCluster(), FailingRows()
    controller = compose_engine(cluster, make_settings(), StageTokens({}), rows, "c2d-gate-x").controller
    await cluster.create(WORKFLOWS, workflow_body(JOB))
    await controller.resync()
    following = asyncio.create_task(EngineWatches(cluster, controller).follow_cluster())
    await cluster.create(WORKFLOWS, workflow_body(OTHER))
    await until(lambda: any(workflow.job == OTHER for workflow in rows.written))
    following.cancel()
    await controller.cancel_all()


class UnlistedCluster(BreakableCluster):
    """A cluster that cannot be listed either while it is broken."""

    async def list(self, resource: ResourceKind, selector: str = "") -> tuple[list[Object], str]:
        if self.broken.is_set():
            raise OSError("the connection was cut")
        return await super().list(resource, selector)


async def test_an_engine_that_no_longer_follows_its_cluster_is_not_ready(secrets: Path) -> None:
    cluster, now = UnlistedCluster(), 1000.0
    settings, rows = make_settings(), Rows()
    engine = compose_engine(cluster, settings, StageTokens({}), rows, "c2d-gate-x")
    watches = EngineWatches(cluster, engine.controller, clock=lambda: now)
    signer = EvidenceSigner(settings, {}, engine.pod_reports)
    app = pod_application(
        engine.controller, engine.pod_reports, signer, is_current=lambda: watches.is_current
    )
    await engine.controller.resync()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://engine") as client:

        async def status() -> int:
            return (await client.get("/readyz")).status_code

        assert await status() == 503
        following = asyncio.create_task(watches.follow_cluster())
        await until(lambda: watches.is_current)
        assert await status() == 200
        cluster.broken.set()
        await asyncio.sleep(0.05)
        assert await status() == 200
        now += BROKEN_SECONDS
        assert await status() == 503
        cluster.broken.clear()
        await until(lambda: watches.is_current)
        assert await status() == 200
        following.cancel()
