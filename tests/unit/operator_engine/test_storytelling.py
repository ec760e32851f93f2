"""What ``kubectl describe workflow`` tells: each step once, whoever tells it, and never in a job's way."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from c2d_box import timestamps
from c2d_box.kubernetes.memory import MemoryCluster
from c2d_box.kubernetes.port import EVENTS, ClusterError
from c2d_box.operator_engine.telemetry.events import EventRecorder
from c2d_box.workflow import resource
from c2d_box.workflow.resource import WorkFlow

from .conftest import workflow_body

JOB = "e" * 32
NOW = 1_800_000_000.0


def reached(*moments: str, code: int = 40, reason: str = "", ago: float = 0.0) -> WorkFlow:
    body = workflow_body(JOB)
    body["metadata"]["uid"] = "12345678-9"
    times = {moment: timestamps.rfc3339_text(NOW - ago) for moment in moments}
    return resource.parse_workflow({**body, "status": {"code": code, "reason": reason, "times": times}})


async def told(cluster: MemoryCluster, *states: WorkFlow) -> list[tuple[str, str, str]]:
    teller = EventRecorder(cluster, "c2d-jobs", clock=lambda: NOW)
    task = asyncio.create_task(teller.run())
    for state in states:
        teller.enqueue_events(state)
        await asyncio.sleep(0.01)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    events, _ = await cluster.list(EVENTS)
    return [(event["type"], event["reason"], event["message"]) for event in events]


async def test_each_step_is_told_once_in_order() -> None:
    cluster = MemoryCluster()
    states = [reached("admitted"), reached("admitted", "staged"), reached("admitted", "staged", "started")]
    found = await told(cluster, *states, states[-1])
    assert [reason for _, reason, _ in found] == ["PlaceGiven", "InputsInPlace", "NetworkClosed"]
    assert len(cluster.calls) == 3


async def test_a_failure_is_a_warning_with_its_reason() -> None:
    failed = reached("finished", code=75, reason="The algorithm ended with exit code 3.")
    assert await told(MemoryCluster(), failed) == [("Warning", "AlgorithmFailed", failed.status.reason)]
    assert (await told(MemoryCluster(), reached("finished", code=70)))[0][:2] == ("Normal", "JobFinished")


async def test_another_engine_tells_nothing_anew_and_nothing_old() -> None:
    cluster = MemoryCluster()
    state = reached("admitted")
    assert await told(cluster, state) == await told(cluster, state)
    assert await told(MemoryCluster(), reached("admitted", ago=3600)) == []


async def test_what_cannot_be_told_is_let_go() -> None:
    cluster = MemoryCluster()
    cluster.fail_next = [ClusterError("away", 503)]
    found = await told(cluster, reached("admitted"), reached("admitted", "staged"))
    assert [reason for _, reason, _ in found] == ["InputsInPlace"]


async def test_the_object_it_is_about_is_named(stack: Any) -> None:
    cluster = MemoryCluster()
    await told(cluster, reached("cleaned"))
    (event,), _ = await cluster.list(EVENTS)
    assert event["involvedObject"] == {
        "apiVersion": "oceanprotocol.com/v1alpha",
        "kind": "WorkFlow",
        "namespace": "c2d-jobs",
        "name": JOB,
        "uid": "12345678-9",
    }
