"""Status changes as server-sent events: how the Provider learns of a job's end without asking.

Each listener has a bounded queue of jobs to tell about, not of events: one that does not keep up misses
steps in between, never an end, and nothing ever waits for it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

from c2d_box.operator_service.jobs import Jobs
from c2d_box.workflow import wire
from c2d_box.workflow.resource import WorkFlow

KEEP_ALIVE_SECONDS = 10.0


async def stream(jobs: Jobs) -> AsyncIterator[bytes]:
    """All jobs as they are, then every change; comments in between show that the line is alive."""
    pending: dict[str, WorkFlow] = {}
    told: dict[str, tuple[int, bool]] = {}
    news = asyncio.Event()

    def changed(workflow: WorkFlow) -> None:
        state = (workflow.status.code, workflow.finished)
        if told.get(workflow.job) != state:
            told[workflow.job] = state
            pending[workflow.job] = workflow
            news.set()

    end = jobs.listen(changed)
    try:
        yield b": connected\n\n"
        for workflow in jobs.all():
            changed(workflow)
        while True:
            while pending:
                workflow = pending.pop(next(iter(pending)))
                yield f"data: {json.dumps(wire.event(workflow))}\n\n".encode()
            news.clear()
            try:
                async with asyncio.timeout(KEEP_ALIVE_SECONDS):
                    await news.wait()
            except TimeoutError:
                yield b": alive\n\n"
    finally:
        end()
