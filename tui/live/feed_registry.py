"""The feeds of one box: each question is polled once, however many panes listen."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar
from weakref import WeakSet

from tui.backend.port import BackendPort, Ddo
from tui.live.feed import Clock, Feed

T = TypeVar("T")
# Seconds: environments and images change only when somebody installs something.
SLOW = 15.0


class FeedRegistry:
    """All feeds of one box. ``consumer`` is called at every answer, so switching accounts takes effect at
    once. ``pace`` multiplies all intervals (tests make it so large that feeds never poll again by
    themselves).
    """

    def __init__(
        self, source: BackendPort, consumer: Callable[[], str], clock: Clock = time.time, pace: float = 1.0
    ) -> None:
        self._clock, self._pace = clock, pace
        self.gate = threading.Event()
        """Set once the first screen is painted."""
        # Weak: the named feeds below are held by attributes, all others by the screen that made them.
        self._feeds: WeakSet[Feed[Any]] = WeakSet()
        self._watched: set[str] = set()
        self._named: tuple[list[Ddo] | None, dict[str, str]] = (None, {})
        self.status = self.make_feed("status", source.box_status, 2.0)
        self.resources = self.make_feed("resources", source.resource_report, 5.0)
        self.jobs = self.make_feed("jobs", lambda: source.list_jobs(consumer()), 1.0)
        self.assets = self.make_feed("assets", source.assets, 3.0)
        self.permissions = self.make_feed("permissions", source.list_permissions, 5.0)
        self.accounts = self.make_feed("accounts", source.list_accounts, 5.0)
        self.environments = self.make_feed("environments", source.list_environments, SLOW)
        self.images = self.make_feed("images", source.list_images, SLOW)
        self.transactions = self.make_feed("transactions", source.list_transactions, 3.0)
        self.blocks = self.make_feed("blocks", source.list_blocks, 3.0)
        self.pods = self.make_feed("pods", source.pods, 2.0)
        self.workflows = self.make_feed("workflows", source.list_workflows, 2.0)
        self.happenings = self.make_feed("happenings", source.list_events, 3.0)
        # The doctor's checks start processes and read disks: once a minute is enough.
        self.findings = self.make_feed("doctor", source.list_findings, 60.0)

    @property
    def asset_names(self) -> dict[str, str]:
        """The names of assets by DID, as far as they are known.

        Computed once per answer of the feed: tables ask for it on every redraw, with thousands of rows.
        """
        known = self.assets.reading.value or []
        # Identity suffices, as a feed keeps its last list until it has a new one.
        if known is not self._named[0]:
            self._named = known, {str(ddo["id"]): str(ddo["metadata"].get("name")) for ddo in known}
        return self._named[1]

    def make_feed(self, name: str, fetch: Callable[[], T], every: float) -> Feed[T]:
        """Create and register a feed. Only weakly referenced: a feed that one screen asks goes away with the
        screen.
        """
        feed = Feed(name, fetch, every * self._pace, self._clock, self.gate)
        # The watch may have been established before this feed existed.
        feed.live = name in self._watched
        self._feeds.add(feed)
        return feed

    def refresh_feeds(self, *names: str) -> None:
        """Refresh the named feeds now; without names, all."""
        # A copy, because threads make and drop feeds meanwhile.
        for feed in list(self._feeds):
            if not names or feed.name in names:
                feed.refresh_now()

    def tell_watched(self, names: tuple[str, ...], live: bool) -> None:
        """Mark these feeds as reported by a watch (``live``), or as polling on their own again."""
        (self._watched.update if live else self._watched.difference_update)(names)
        for feed in list(self._feeds):
            if feed.name in names:
                was_live, feed.live = feed.live, live
                # A feed that was told of changes sleeps for long.
                if was_live and not live:
                    feed.refresh_now()
