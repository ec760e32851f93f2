"""How long a component that keeps ending must wait before its next start."""

from __future__ import annotations

from dataclasses import dataclass

FIRST = 0.2
LONGEST = 30.0
STEADY = 30.0
"""Seconds of life after which earlier failures are forgotten."""


@dataclass(slots=True)
class Backoff:
    failures: int = 0

    def after(self, lived: float) -> float:
        """Seconds to wait after a life of ``lived`` seconds; doubles with every short life."""
        self.failures = 1 if lived >= STEADY else self.failures + 1
        return min(LONGEST, FIRST * 2.0 ** (self.failures - 1))
