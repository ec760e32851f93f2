"""Limits how many jobs are reconciled at once.

Jobs with a place are not limited: there are few of them. Of the queued jobs, which may be thousands, one is
reconciled at a time; of the jobs that are over (``cleaned`` is recorded), four. Without these limits an
engine that starts on a long queue sends requests for all of it to the API server at once, and the next job
with a place waits behind them. The two limits are separate, since a job that is over may have to wait for the
result store.
"""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager, nullcontext

from c2d_box.workflow.resource import WorkFlow

AT_ONCE = 1
"""Queued jobs that are reconciled at the same time."""
_OVER_AT_ONCE = 4
"""Jobs that are over and are reconciled at the same time."""


class ReconcileLimits:
    """Two semaphores, one for queued jobs and one for jobs that are over; other jobs are not limited."""

    def __init__(self) -> None:
        self._waiting = asyncio.Semaphore(AT_ONCE)
        self._over = asyncio.Semaphore(_OVER_AT_ONCE)

    def slot_for(self, workflow: WorkFlow, *, reserved: bool) -> AbstractAsyncContextManager[None]:
        """Return the slot that a round on this job must hold. ``reserved``: the job has its place already,
        though that is not recorded yet.
        """
        if workflow.at("cleaned") is not None:
            return self._over
        # A job that has just got its place must not wait behind the queue that it has left.
        if workflow.at("admitted") is None and not reserved:
            return self._waiting
        return nullcontext()
