"""Lets callers wait for the next block without polling: ``GET /c2d/head`` and our indexers rest on it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from sandbox.testchain.storage.chain_index import ChainHead


class HeadNotifier:
    """Wakes coroutines when the head moves. ``head_moved`` is called from the ledger's thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop, current: Callable[[], ChainHead]) -> None:
        self._loop = loop
        self._current = current
        self._change = asyncio.Event()
        # A revert may be followed by a block of the same number: the count shows that the head moved all the
        # same.
        self._reverts = 0
        self._closed = False

    def head_moved(self, head: ChainHead, reverted: bool) -> None:
        """Tell the waiting coroutines that the head moved. Called on the ledger's thread."""
        # A last block may be made while the server stops.
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake_waiters, reverted)

    def _wake_waiters(self, reverted: bool) -> None:
        """Wake all who wait now. Runs on the event loop, so no lock is needed."""
        self._reverts += reverted
        # A new event each time, so that each change wakes those who waited before it and nobody later.
        self._change.set()
        self._change = asyncio.Event()

    def close(self) -> None:
        """Wake all waiting coroutines for good: the server stops."""
        self._closed = True
        self._wake_waiters(False)

    async def wait_after(self, number: int, patience: float) -> ChainHead:
        """Return the head as soon as it is not ``number`` (higher, or lower after a revert), or after
        ``patience`` seconds."""
        reverts = self._reverts
        deadline = self._loop.time() + patience
        # Compared again after every wake: ``number`` may also be one that the caller has not seen yet.
        while self._current().number == number and self._reverts == reverts and not self._closed:
            remaining = deadline - self._loop.time()
            if remaining <= 0:
                break
            try:
                await asyncio.wait_for(self._change.wait(), remaining)
            except TimeoutError:
                break
        return self._current()
