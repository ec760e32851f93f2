"""The feeds of one box: each question is polled once, however many panes listen."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar
from weakref import WeakSet

from tui.backend.port import Source
from tui.live.feed import Clock, Feed

T = TypeVar("T")
SLOW = 15.0


class Questions:
    """All feeds of one box. ``consumer`` is called at every answer, so switching accounts takes effect at
    once. ``pace`` multiplies all intervals (tests make it so large that feeds never poll again by
    themselves).
    """

    def __init__(
        self, source: Source, consumer: Callable[[], str], clock: Clock = time.time, pace: float = 1.0
    ) -> None:
        self._clock, self._pace = clock, pace
        self.gate = threading.Event()
        """Set once the first screen is painted."""
        self._feeds: WeakSet[Feed[Any]] = WeakSet()
        self._watched: set[str] = set()
        self.status = self.one("status", source.status, 2.0)
        self.resources = self.one("resources", source.resources, 5.0)
        self.jobs = self.one("jobs", lambda: source.jobs(consumer()), 1.0)
        self.assets = self.one("assets", source.assets, 3.0)
        self.permissions = self.one("permissions", source.permissions, 5.0)
        self.accounts = self.one("accounts", source.accounts, 5.0)
        self.environments = self.one("environments", source.environments, SLOW)
        self.images = self.one("images", source.images, SLOW)
        self.transactions = self.one("transactions", source.transactions, 3.0)
        self.blocks = self.one("blocks", source.blocks, 3.0)
        self.pods = self.one("pods", source.pods, 2.0)
        self.workflows = self.one("workflows", source.workflows, 2.0)
        self.happenings = self.one("happenings", source.happenings, 3.0)
        self.findings = self.one("doctor", source.findings, 60.0)

    def one(self, name: str, fetch: Callable[[], T], every: float) -> Feed[T]:
        """Create and register a feed. Only weakly referenced: a feed that one screen asks goes away with the
        screen.
        """
        feed = Feed(name, fetch, every * self._pace, self._clock, self.gate)
        feed.live = name in self._watched
        self._feeds.add(feed)
        return feed

    def poke(self, *names: str) -> None:
        """Refresh the named feeds now; without names, all."""
        for feed in list(self._feeds):
            if not names or feed.name in names:
                feed.poke()

    def tell_watched(self, names: tuple[str, ...], live: bool) -> None:
        """Mark these feeds as reported by a watch (``live``), or as polling on their own again."""
        (self._watched.update if live else self._watched.difference_update)(names)
        for feed in list(self._feeds):
            if feed.name in names:
                feed.live = live
