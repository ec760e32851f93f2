"""Measures how far the indexer is behind the chain's head and whether it moves, which decides the cache's
readiness.

A process that reads an old chain for hours is alive and not ready. One that has stopped in the middle of it
is not ready either, even if it answers requests.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass
class IndexProgress:
    """``is_started`` becomes true once everything up to some head has been read. From then on the cache is
    ready unless it has been behind, or without an answer of its node, for ``ready_seconds``."""

    ready_seconds: float
    confirmations: int = 0
    # Monotonic: a step of the wall clock is no standstill.
    clock: Callable[[], float] = time.monotonic
    is_started: bool = False
    head: int | None = None
    block: int | None = None
    problem: str = ""
    _behind_since: float | None = None
    _moved_at: float | None = None

    def note_head(self, head: int, block: int) -> None:
        """Record that the node's head is ``head`` and that everything up to ``block`` has been read."""
        # Any movement counts, also back: a reorganisation is work and no standstill.
        if block != self.block:
            self._moved_at = self.clock()
        # After the comparison above, which needs the block of the last call.
        self.head, self.block = head, block
        if self.blocks_behind == 0:
            self._behind_since, self.problem = None, ""
        # The first time only: being behind counts from its beginning, however often it is noted.
        elif self._behind_since is None:
            self._behind_since = self.clock()

    def note_block(self, block: int) -> None:
        """Record that a block was read while catching up. It ends a problem, but not the time of being
        behind."""
        self.block, self._moved_at, self.problem = block, self.clock(), ""

    def note_failure(self, problem: str) -> None:
        """Record a failure. It counts as being behind, since nothing is known of the chain until it ends."""
        self.problem = problem
        if self._behind_since is None:
            self._behind_since = self.clock()

    @property
    def blocks_behind(self) -> int:
        """The number of confirmed blocks that have not been read yet."""
        if self.head is None or self.block is None:
            return 0
        # Blocks that wait for confirmations are not missing.
        return max(0, self.head - self.confirmations - self.block)

    @property
    def is_ready(self) -> bool:
        """True while the cache was level with the head within the last ``ready_seconds``."""
        # The delay covers the normal case: each new block makes the cache one block late for a moment.
        since = self._behind_since
        return self.is_started and (since is None or self.clock() - since <= self.ready_seconds)

    def readiness_report(self) -> dict[str, Any]:
        """Return the progress as ``/readyz`` shows it, with the reason where the cache is not ready."""
        report: dict[str, Any] = {"block": self.block, "head": self.head, "behind": self.blocks_behind}
        if not self.is_ready:
            report["reason"] = self._unready_reason()
        return report

    def _unready_reason(self) -> str:
        """Return the reason for operators: how far, since when, and why."""
        if self.head is None:
            return self.problem or "the chain's head is not known yet"
        told = f"block {self.block} of {self.head} is read, {self.blocks_behind} are missing"
        if self._moved_at is not None and self.blocks_behind:
            told += f"; the last one came {self.clock() - self._moved_at:.0f} s ago"
        return f"{told}; {self.problem}" if self.problem else told
