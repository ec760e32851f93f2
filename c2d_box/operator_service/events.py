"""Status changes as server-sent events: how the Provider learns of a job's end without asking.

Each listener has a bounded queue of changed jobs, not of events: one that does not keep up misses
intermediate states, never an end, and nothing ever waits for it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

from c2d_box.operator_service.jobs import JobIndex, is_job_of
from c2d_box.workflow import ocean_status
from c2d_box.workflow.resource import WorkFlow

KEEP_ALIVE_SECONDS = 10.0
REMEMBERED = 1_000
"""Number of states of deleted jobs that are kept for a listener before they are forgotten."""


async def stream_events(jobs: JobIndex, provider: str | None) -> AsyncIterator[bytes]:
    """Yield the current state of the Provider's jobs, then every change; comments in between show that the
    connection is alive. ``provider`` None: all jobs.
    """
    # By job: a job that changes twice before it is told is told once, in its latest state.
    pending: dict[str, WorkFlow] = {}
    told: dict[str, tuple[int, bool]] = {}
    news = asyncio.Event()

    def changed(workflow: WorkFlow) -> None:
        """Note a change that the Provider has not been told yet."""
        if provider is not None and not is_job_of(workflow, provider):
            return
        state = (workflow.status.code, workflow.finished)
        # Most changes of a WorkFlow are of no interest to a Provider: only number and end are.
        if told.get(workflow.job) != state:
            told[workflow.job] = state
            pending[workflow.job] = workflow
            news.set()
        # Cleaned only now and then, so that a change costs no walk through all jobs.
        if len(told) > REMEMBERED + jobs.job_count:
            for job in [job for job in told if jobs.get_job(job) is None]:
                del told[job]

    # Listening begins before the present state is sent, so nothing in between is missed.
    end = jobs.add_listener(changed)
    try:
        yield b": connected\n\n"
        for workflow in jobs.all_jobs():
            changed(workflow)
        while True:
            while pending:
                workflow = pending.pop(next(iter(pending)))
                yield f"data: {json.dumps(ocean_status.status_event(workflow))}\n\n".encode()
            # Cleared before the wait and with no await since `pending` was seen empty.
            news.clear()
            try:
                async with asyncio.timeout(KEEP_ALIVE_SECONDS):
                    await news.wait()
            except TimeoutError:
                # A comment line, which clients ignore; without traffic proxies close the connection.
                yield b": alive\n\n"
    # Also where the Provider hangs up: a listener that stays would collect changes for nobody.
    finally:
        end()
