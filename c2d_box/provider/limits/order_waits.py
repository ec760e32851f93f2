"""Waits for an order's block, without letting invented transaction ids hold the Provider up.

A consumer may ask a moment before the chain has mined the order. So the Provider asks again for two seconds
for an id that the node does not know, and longer for a pending one. Each wait holds a task, never a thread. A
network address that keeps naming transactions that never come is answered at once from then on, until a
minute has passed.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from c2d_box.chain.orders import OrderInvalid, OrderNotMined
from c2d_box.provider.limits.client_rates import VisitorRateLimiter, visitor
from c2d_box.retry import Backoff

T = TypeVar("T")

UNKNOWN_SECONDS = 2.0
"""The seconds for which a transaction that the node does not know is asked for again. So long an invented id
can hold a task."""
_IN_ALL, _EACH = 200, 10
"""Waits at the same time, of all addresses together and of one. A wait costs a task and questions to the
node."""


class OrderWaitLimiter:
    """Limits the waits for orders by network address. ``unknown_orders`` is the number of waits per minute
    that may end without the order."""

    def __init__(self, unknown_orders: float) -> None:
        self._vain = VisitorRateLimiter(unknown_orders)
        self._waiting: Counter[str] = Counter()

    async def until_mined(
        self, verified: Callable[[], Awaitable[T]], known: Callable[[], Awaitable[bool]], seconds: float
    ) -> T:
        """Return what ``verified`` returns once it no longer raises OrderNotMined, calling it again as
        described above. ``known`` returns whether the node knows the transaction."""
        try:
            return await verified()
        except OrderNotMined as missing:
            unmined = missing
        # The first look above is free of any limit: it answers the usual case of an order that is mined.
        with self._waiting_place() as free:
            if not free:
                raise unmined
            began, backoff = time.monotonic(), Backoff(0.02, 1.0, 1.5)
            # Pauses grow from 20 ms to one second: most orders come with the next block.
            while (waited := time.monotonic() - began) < seconds:
                # A pending transaction is waited for to the end; one that no node has heard of is most likely
                # invented.
                if waited >= UNKNOWN_SECONDS and not await known():
                    break
                await asyncio.sleep(backoff.next_pause())
                try:
                    return await verified()
                except OrderNotMined:
                    continue
            # Only a wait in vain counts, so honest consumers do not use the limit up.
            self._vain.take_allowance(visitor.get())
        raise OrderInvalid(str(unmined))

    @contextmanager
    def _waiting_place(self) -> Iterator[bool]:
        """Yield whether one more request of this network address may wait, and count it while it does."""
        name = visitor.get()
        full = self._waiting[name] >= _EACH or self._waiting.total() >= _IN_ALL
        if full or self._vain.is_exhausted(name):
            yield False
            return
        self._waiting[name] += 1
        try:
            yield True
        finally:
            self._waiting[name] -= 1
            if not self._waiting[name]:
                del self._waiting[name]
