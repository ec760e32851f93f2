"""Keeps the screens live: two watches, of jobs in Kubernetes and of blocks on the chain, refresh feeds.

While a watch is established, its feeds poll 30 times less often; when it breaks they poll at their usual rate
again, and the watch is retried with a growing pause. A burst of changes causes one refresh.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from c2d_box.errors import C2DError
from c2d_box.retry import Backoff

if TYPE_CHECKING:
    from tui.backend.port import BackendPort
    from tui.live.feed_registry import FeedRegistry


@dataclass(frozen=True)
class FeedWatch:
    """One watch and its feeds. ``told`` are feeds whose every change the watch reports; ``moved`` are
    refreshed along with them.
    """

    follow: Callable[[], Iterator[object]]
    told: tuple[str, ...]
    moved: tuple[str, ...] = ()


# Seconds: first and longest pause before a broken watch is tried again; time for which a burst of changes is
# gathered into one refresh; delay of the second refresh.
AGAIN, SELDOM, GATHER, SETTLE = 2.0, 16.0, 0.15, 1.0


class ChangeWatcher:
    """Runs the watches in daemon threads, so that leaving the TUI never waits for them."""

    def __init__(self, source: BackendPort, feeds: FeedRegistry) -> None:
        self._feeds = feeds
        self._over = threading.Event()
        # Kubernetes knows of jobs first, the chain of everything else: assets and permissions are events of a
        # block.
        self._watches = (
            FeedWatch(
                source.follow_changes,
                ("jobs", "job", "workflows"),
                ("pods", "job logs", "happenings", "job pods", "job events"),
            ),
            FeedWatch(
                source.follow_heads,
                ("assets", "permissions", "accounts", "transactions", "blocks", "datatokens"),
            ),
        )

    def start_watches(self) -> None:
        """Start the threads; they wait for the first paint before they ask."""
        for watch in self._watches:
            threading.Thread(target=self._hold_watch, args=(watch,), name="watch", daemon=True).start()

    def stop_watches(self) -> None:
        self._over.set()

    def _hold_watch(self, watch: FeedWatch) -> None:
        """Hold one watch until the TUI ends: tell the feeds when it is established and when it broke."""
        self._feeds.gate.wait()
        backoff = Backoff(AGAIN, SELDOM)
        while not self._over.is_set():
            try:
                # The first item only says that the watch stands; its refresh catches what changed before
                # that.
                for _change in watch.follow():
                    backoff.reset()
                    self._feeds.tell_watched(watch.told, True)
                    # Changes that arrive meanwhile wait in the connection and are read as further items.
                    if self._over.wait(GATHER):
                        return
                    self._refresh_feeds(watch)
            except (C2DError, OSError):
                pass  # the feeds poll by themselves meanwhile, and show what is wrong
            self._feeds.tell_watched(watch.told, False)
            self._over.wait(backoff.next_pause())

    def _refresh_feeds(self, watch: FeedWatch) -> None:
        """Refresh the feeds now, and again after ``SETTLE`` seconds: database rows and indexes follow the
        watched change with a delay.
        """
        names = (*watch.told, *watch.moved)
        self._feeds.refresh_feeds(*names)
        # The refresh for the rows that lag behind; a daemon, so that leaving does not wait for it.
        later = threading.Timer(SETTLE, self._feeds.refresh_feeds, names)
        later.daemon = True
        later.start()
