"""The chain's time: the wall clock plus an offset that tests move, never backwards from one block to the
next.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable

LAST_SECOND = 253_402_300_799
"""The end of the year 9999, the last second that calendars know. No block has a later time."""


class ChainClock:
    """The wall clock with an offset. ``offset`` in seconds lasts; ``fixed`` holds for the next block only,
    then time goes on from there."""

    def __init__(self, wall: Callable[[], float] = time.time) -> None:
        self._wall = wall
        self.offset = 0
        self.fixed: int | None = None

    def next_timestamp(self, previous: int) -> int:
        """Return the timestamp a block made now would get, in Unix seconds."""
        wanted = self.fixed if self.fixed is not None else int(self._wall()) + self.offset
        return max(min(wanted, LAST_SECOND), previous)

    def wall_seconds(self) -> int:
        """Return the wall clock's time, in whole seconds."""
        return int(self._wall())

    def note_block(self, timestamp: int) -> None:
        """Note that a block was made with ``timestamp``."""
        if self.fixed is not None:
            self.offset = timestamp - int(self._wall())
            self.fixed = None

    def set_time(self, timestamp: int) -> int:
        """Make it ``timestamp`` now; return the offset."""
        self.offset = timestamp - int(self._wall())
        return self.offset

    def to_text(self) -> str:
        return json.dumps({"offset": self.offset, "fixed": self.fixed})

    def restore_text(self, text: str) -> None:
        state = json.loads(text)
        self.offset, self.fixed = int(state["offset"]), state["fixed"]
