"""The engine's own figures: number of plans, their durations, and the lengths of the queues."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

KEPT = 20_000
"""Rounds over which the quantiles are taken."""


class EngineMetrics:
    """Durations in milliseconds of the last ``KEPT`` rounds, and the total count."""

    def __init__(self) -> None:
        self._rounds: deque[float] = deque(maxlen=KEPT)
        self._plans: deque[float] = deque(maxlen=KEPT)
        self._waits: deque[float] = deque(maxlen=KEPT)
        self.total = 0
        self.most = 0
        """Number of plans of the job that had the most."""

    def add_wait(self, seconds: float) -> None:
        """Note how long a job waited for a concurrency slot."""
        self._waits.append(seconds * 1000)

    def add_round(self, round_seconds: float, plan_seconds: float, plans_of_job: int) -> None:
        """Note one round: observe, plan and act, Kubernetes' answers included."""
        self.total += 1
        self.most = max(self.most, plans_of_job)
        self._rounds.append(round_seconds * 1000)
        self._plans.append(plan_seconds * 1000)

    def as_dict(self, held: Mapping[str, int], queued: Mapping[str, int]) -> dict[str, Any]:
        """Return the figures as JSON; ``held`` and ``queued`` count jobs by environment."""
        return {
            "reconciles": self.total,
            "mostOfOneJob": self.most,
            "reconcileMs": _quantiles(self._rounds),
            "planMs": _quantiles(self._plans),
            "waitMs": _quantiles(self._waits),
            "held": dict(held),
            "queued": dict(queued),
        }


def _quantiles(values: deque[float]) -> dict[str, float]:
    # Sorted on request, since figures are asked for far more rarely than rounds are noted.
    ordered = sorted(values)
    return {
        name: round(ordered[min(len(ordered) - 1, int(len(ordered) * share))], 3) if ordered else 0.0
        for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("max", 1.0))
    }
