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
        # Seconds added to the wall clock; may be negative after set_time.
        self.offset = 0
        self.fixed: int | None = None

    def next_timestamp(self, previous: int) -> int:
        """Return the timestamp a block made now would get, in Unix seconds."""
        wanted = self.fixed if self.fixed is not None else int(self._wall()) + self.offset
        # Equal timestamps are allowed here: several blocks are made within one second.
        return max(min(wanted, LAST_SECOND), previous)

    def wall_seconds(self) -> int:
        """Return the wall clock's time, in whole seconds."""
        return int(self._wall())

    def note_block(self, timestamp: int) -> None:
        """Note that a block was made with ``timestamp``."""
        # The time that was set is the chain's time from now on, not a single leap.
        if self.fixed is not None:
            self.offset = timestamp - int(self._wall())
            self.fixed = None

    def set_time(self, timestamp: int) -> int:
        """Make it ``timestamp`` now; return the offset."""
        # The next block still is no earlier than the newest one.
        self.offset = timestamp - int(self._wall())
        return self.offset

    def to_text(self) -> str:
        """Return the clock's state as JSON; it is stored with every block."""
        return json.dumps({"offset": self.offset, "fixed": self.fixed})

    def restore_text(self, text: str) -> None:
        """Take over a state that :meth:`to_text` gave: after a restart or a revert."""
        state = json.loads(text)
        self.offset, self.fixed = int(state["offset"]), state["fixed"]
