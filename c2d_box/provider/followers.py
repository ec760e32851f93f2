"""A log that is followed holds a connection for as long as its job runs, so there are only so many."""

from __future__ import annotations

from collections import Counter

from c2d_box.provider.errors import Refusal


class Followers:
    """How many logs are being followed, in all and by each owner."""

    def __init__(self, in_all: int = 64, each: int = 8) -> None:
        self._in_all, self._each = in_all, each
        self._now: Counter[str] = Counter()

    def enter(self, owner: str) -> None:
        """Raises Refusal (429) when there are too many; else :meth:`leave` must be called."""
        if self._now[owner] >= self._each or self._now.total() >= self._in_all:
            raise Refusal("Too many logs are being followed, close one first.", status=429)
        self._now[owner] += 1

    def leave(self, owner: str) -> None:
        self._now[owner] -= 1
        if self._now[owner] <= 0:
            del self._now[owner]
