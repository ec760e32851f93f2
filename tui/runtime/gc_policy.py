"""When Python collects garbage: a full collection, over everything the screens hold, takes longer than a key
may, so it waits for a moment in which nobody types. Before the first paint there is none at all.
"""

from __future__ import annotations

import gc
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from textual.app import App
    from textual.events import Key

YOUNG, OLDER, NEVER = 10_000, 20, 1_000_000
EVERY, REST = 20.0, 3.0


def put_off() -> None:
    """Until :class:`Collecting` begins."""
    gc.disable()


class Collecting:
    """To be told of every key; begins with the first paint."""

    def __init__(self) -> None:
        self._typed = 0.0

    def begin(self, app: App[None]) -> None:
        """What is loaded now stays; only what comes later is looked at."""
        gc.freeze()
        gc.set_threshold(YOUNG, OLDER, NEVER)
        gc.enable()
        app.set_interval(EVERY, self._collect)

    def heard(self, _key: Key) -> None:
        self._typed = time.monotonic()

    def _collect(self) -> None:
        if gc.get_count()[2] and time.monotonic() - self._typed > REST:
            gc.collect()
