"""Computes pauses between attempts. Only the standard library is imported: pods' programs use this too."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf


@dataclass(slots=True)
class Backoff:
    """The pauses after a series of failures: ``first`` seconds, each ``factor`` times the one before, at most
    ``longest``. An attempt that lasted ``steady`` seconds ends the series."""

    first: float
    longest: float
    factor: float = 2.0
    steady: float = inf
    failures: int = 0
    _next: float = field(init=False)

    def __post_init__(self) -> None:
        self._next = self.first

    def next_pause(self, lasted: float = 0.0) -> float:
        """Count the failure of an attempt that ``lasted`` so many seconds, and return the seconds to wait
        before the next attempt."""
        # A connection that held for long has worked: its end is a new failure and no further one.
        if lasted >= self.steady:
            self.reset()
        self.failures += 1
        # The factor is applied to the bounded pause, so that the number does not grow for ever.
        pause = min(self._next, self.longest)
        self._next = pause * self.factor
        return pause

    def reset(self) -> None:
        """Forget the series, as after a success: the next failure is again the first one."""
        self.failures, self._next = 0, self.first
