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
_IN_ALL, _EACH = 200, 10


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
        with self._waiting_place() as free:
            if not free:
                raise unmined
            began, backoff = time.monotonic(), Backoff(0.02, 1.0, 1.5)
            while (waited := time.monotonic() - began) < seconds:
                if waited >= UNKNOWN_SECONDS and not await known():
                    break
                await asyncio.sleep(backoff.next_pause())
                try:
                    return await verified()
                except OrderNotMined:
                    continue
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
