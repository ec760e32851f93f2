"""Filters that clients poll (``eth_newFilter`` and its kin), each with the block it has read up to. They live
as long as the process.

As in geth, a filter that nobody polled for five minutes is dropped.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from sandbox.testchain.storage.chain_index import LogFilter

# geth's timeout: clients that vanish leave their filters behind.
IDLE_SECONDS = 300.0
# A client that makes a filter per request must not fill the memory within five minutes.
MAX_FILTERS = 10_000
Kind = Literal["logs", "blocks", "transactions"]


@dataclass(slots=True)
class PolledFilter:
    """One filter: what it looks for, and how far its client has read."""

    kind: Kind
    wanted: LogFilter
    first: int
    """Lowest block the filter's creator asked for."""
    last: int | None
    """Highest block, None for no end."""
    seen: int
    """The block up to which changes were handed out."""
    used: float


class FilterRegistry:
    """All filters by name. Each poll moves its filter on to the head."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        # Filters are made, polled and rewound on different threads.
        self._lock = threading.Lock()
        self._filters: dict[str, PolledFilter] = {}

    def add_filter(self, kind: Kind, head: int, wanted: LogFilter, first: int, last: int | None) -> str:
        """Keep a new filter and return its name.

        ``first`` and ``last`` bound the blocks it looks at; what lies before ``head`` is not reported as a
        change.
        """
        with self._lock:
            self._drop_idle()
            if len(self._filters) >= MAX_FILTERS:
                # The oldest one: dicts keep the order of insertion.
                del self._filters[next(iter(self._filters))]
            # Random, so that one client cannot guess and use up another's changes.
            name = hex(secrets.randbits(128))
            self._filters[name] = PolledFilter(kind, wanted, first, last, max(head, first - 1), self._now())
            return name

    def get_filter(self, name: str) -> PolledFilter | None:
        """Return the filter, or None where it is unknown or was idle too long; asking keeps it alive."""
        with self._lock:
            self._drop_idle()
            found = self._filters.get(name)
            if found is not None:
                found.used = self._now()
            return found

    def take_range(self, name: str, head: int) -> tuple[PolledFilter, int, int] | None:
        """Return the filter and the blocks ``low..high`` it has not seen yet (low > high: nothing new)."""
        found = self.get_filter(name)
        if found is None:
            return None
        with self._lock:
            low = found.seen + 1
            high = head if found.last is None else min(head, found.last)
            # Moved before the logs are read: two polls at once each get every block once.
            found.seen = max(found.seen, high)
            return found, low, high

    def remove_filter(self, name: str) -> bool:
        """Drop a filter; return whether it was there."""
        with self._lock:
            return self._filters.pop(name, None) is not None

    def rewind_filters(self, head: int) -> None:
        """Note that the chain went back to ``head``: blocks made from there on are new to every filter."""
        with self._lock:
            for found in self._filters.values():
                found.seen = min(found.seen, head)

    def _drop_idle(self) -> None:
        limit = self._now() - IDLE_SECONDS
        for name in [name for name, found in self._filters.items() if found.used < limit]:
            del self._filters[name]
