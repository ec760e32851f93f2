"""Shares one call among concurrent callers (single-flight).

Unlike a cache's, the answer is never older than the request it serves: a caller who comes while a call is
under way does not get its answer, but waits for the next call, together with all others who came meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class SingleFlight(Generic[T]):
    """Runs ``ask`` at most once at a time, and answers each caller from a run that began after the caller
    came."""

    def __init__(self, ask: Callable[[], Awaitable[T]]) -> None:
        self._ask = ask
        self._running: asyncio.Future[T] | None = None
        self._next: asyncio.Future[T] | None = None

    async def __call__(self) -> T:
        """Return or raise what ``ask`` does in a call that begins from now on."""
        # The next run may be waiting for the present one; all who come meanwhile share it.
        if self._next is None:
            self._next = asyncio.ensure_future(self._ask_after(self._running))
            self._next.add_done_callback(_retrieve_failure)
        # One caller that is cancelled must not take the answer from the others.
        return await asyncio.shield(self._next)

    async def _ask_after(self, before: asyncio.Future[T] | None) -> T:
        """Wait for the present run, whatever becomes of it, then begin the next one."""
        if before is not None and not before.done():
            await asyncio.wait({before})
        # From here on the question is under way: who comes now gets the run after this one.
        self._running, self._next = self._next, None
        return await self._ask()


def _retrieve_failure(done: asyncio.Future[T]) -> None:
    """Mark the exception of a call as retrieved: those who wait get it, and where they all have gone asyncio
    must not log it."""
    if not done.cancelled():
        done.exception()
