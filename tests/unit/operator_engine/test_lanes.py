"""A long queue does not keep the API server from those who have a place."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from c2d_box.kubernetes.memory import MemoryCluster
from c2d_box.kubernetes.port import CLAIMS, Object, ResourceKind
from c2d_box.operator_engine.scheduling.concurrency import AT_ONCE
from c2d_box.workflow import names
from c2d_box.workflow.resource import WORKFLOWS
from tests.unit.operator_engine.conftest import EngineStack, make_settings, workflow_body

WAITING = 30


class Slow(MemoryCluster):
    """Patches take their time; how many are under way together is counted."""

    def __init__(self) -> None:
        super().__init__()
        self.under_way: set[str] = set()
        self.most = 0
        self.stuck = asyncio.Event()

    async def patch(
        self, resource: ResourceKind, name: str, patch: Object, *, status: bool = False
    ) -> Object:
        self.under_way.add(name)
        self.most = max(self.most, len(self.under_way))
        try:
            await self.stuck.wait()
            return await super().patch(resource, name, patch, status=status)
        finally:
            self.under_way.discard(name)


async def filled(secrets: Path, **changes: Any) -> tuple[EngineStack, Slow]:
    environment = {"id": "ocean-compute", "maxJobDuration": 60, "diskGB": 1, **changes}
    stack, cluster = EngineStack(make_settings(environments=[environment]), secrets), Slow()
    stack.cluster = cluster
    stack.boot()
    for number in range(WAITING):
        body = workflow_body(f"job{number:03d}")
        del body["metadata"]["finalizers"]  # as written by hand: each needs a patch first
        await cluster.create(WORKFLOWS, body)
    return stack, cluster


async def test_of_those_that_wait_a_few_are_worked_on_at_once(secrets: Path) -> None:
    stack, cluster = await filled(secrets, maxJobs=0)
    await stack.start()
    await stack.node.until(lambda: len(cluster.under_way) == AT_ONCE)
    cluster.stuck.set()
    await stack.controller.wait_idle()
    assert cluster.most == AT_ONCE
    for number in range(WAITING):
        assert names.FINALIZER in stack.node.workflow(f"job{number:03d}").finalizers
    await stack.stop()


async def test_those_with_a_place_go_past_the_queue_that_is_stuck(secrets: Path) -> None:
    stack, cluster = await filled(secrets, maxJobs=3)
    await stack.start()
    await stack.node.until(lambda: len(cluster.under_way) == AT_ONCE + 3)
    cluster.stuck.set()
    await stack.node.until(lambda: len(cluster.names(CLAIMS)) == 3)
    assert cluster.most <= AT_ONCE + 3
    await stack.stop()


async def test_a_late_job_is_read_anew_when_its_turn_comes(secrets: Path) -> None:
    stack, cluster = await filled(secrets, maxJobs=0)
    await stack.start()
    await stack.node.until(lambda: len(cluster.under_way) == AT_ONCE)
    late = next(f"job{n:03d}" for n in range(WAITING) if f"job{n:03d}" not in cluster.under_way)
    await cluster.vanish(WORKFLOWS, late)
    await stack.node.until(lambda: stack.controller.job_cache.workflow(late) is None)
    cluster.stuck.set()
    await stack.controller.wait_idle()
    assert late not in {name for verb, _, name in cluster.calls if verb == "patch"}
    await stack.stop()
