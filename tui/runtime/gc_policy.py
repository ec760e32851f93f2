"""Schedules Python's garbage collection. A full collection, over everything the screens hold, takes longer
than a key press may, so it waits until nobody has typed for ``REST`` seconds. Before the first paint there is
none.
"""

from __future__ import annotations

import gc
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from textual.app import App
    from textual.events import Key

# Thresholds of the three generations of :mod:`gc`. The third is never reached, so no full collection starts
# by itself.
YOUNG, OLDER, NEVER = 10_000, 20, 1_000_000
# Seconds between attempts at a full collection, and seconds without a key that it takes.
EVERY, REST = 20.0, 3.0


def postpone_collection() -> None:
    """Disable garbage collection until :class:`GcPolicy` begins."""
    gc.disable()


class GcPolicy:
    """Runs full collections between key presses. ``start_policy`` begins it at the first paint; ``note_key``
    is called for every key.
    """

    def __init__(self) -> None:
        self._typed = 0.0

    def start_policy(self, app: App[None]) -> None:
        """Freeze what is loaded now, so that collections only look at what comes later, and
        start the timer.
        """
        # Everything imported so far lives as long as the process; looking at it again would be the costliest
        # part.
        gc.freeze()
        gc.set_threshold(YOUNG, OLDER, NEVER)
        gc.enable()
        app.set_interval(EVERY, self._collect_garbage)

    def note_key(self, _key: Key) -> None:
        """Remember when the user last typed."""
        self._typed = time.monotonic()

    def _collect_garbage(self) -> None:
        """Run a full collection if there is anything to collect and the user rests."""
        # The third count is zero if no middle collection ran since the last full one: then there is nothing
        # to do.
        if gc.get_count()[2] and time.monotonic() - self._typed > REST:
            gc.collect()
