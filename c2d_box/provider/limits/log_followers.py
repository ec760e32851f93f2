"""Limits how many logs are followed at once: each holds a connection for as long as its job runs."""

from __future__ import annotations

from collections import Counter

from c2d_box.provider.errors import ProviderRefusal


class LogStreamLimiter:
    """Counts the logs that are being followed, in all and by each owner, and refuses one too many."""

    def __init__(self, in_all: int = 64, each: int = 8) -> None:
        self._in_all, self._each = in_all, each
        self._now: Counter[str] = Counter()

    def acquire_slot(self, owner: str) -> None:
        """Count one more. Raise ProviderRefusal (429) when there are too many; else
        :meth:`release_slot` must be called when the answer ends, or the log stays counted for ever.
        """
        # By owner as well as in all: otherwise one owner could keep everybody else from following a log.
        if self._now[owner] >= self._each or self._now.total() >= self._in_all:
            raise ProviderRefusal("Too many logs are being followed, close one first.", status=429)
        self._now[owner] += 1

    def release_slot(self, owner: str) -> None:
        """Count one less, after :meth:`acquire_slot`."""
        self._now[owner] -= 1
        # Owners without a stream leave no entry, so the counter does not grow with their number.
        if self._now[owner] <= 0:
            del self._now[owner]
