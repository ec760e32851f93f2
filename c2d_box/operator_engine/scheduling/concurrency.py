"""How many jobs are worked on at once: those with a place all, which are few; of the thousands that wait one,
of those that are over a handful.

Without this an engine that starts on a long queue asks the API server for everything in one breath, and the
next job with a place waits behind all of it. What waits and what is over have lanes of their own, since an
end may have to wait for the store of the results.
"""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager, nullcontext

from c2d_box.workflow.resource import WorkFlow

AT_ONCE = 1
"""Of those that wait."""
_OVER_AT_ONCE = 4


class ReconcileLimits:
    def __init__(self) -> None:
        self._waiting = asyncio.Semaphore(AT_ONCE)
        self._over = asyncio.Semaphore(_OVER_AT_ONCE)

    def slot_for(self, workflow: WorkFlow, *, reserved: bool) -> AbstractAsyncContextManager[None]:
        """``reserved``: the job has its place already, though that is not recorded yet."""
        if workflow.at("cleaned") is not None:
            return self._over
        if workflow.at("admitted") is None and not reserved:
            return self._waiting
        return nullcontext()
