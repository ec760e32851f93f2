"""A started job: its id, what it cost, and what the Provider last said about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from c2d_box.client.ordering import Cost


@dataclass(frozen=True)
class Job:
    """A started job. ``details`` is the wire's job object at the time of starting; ask the consumer for newer
    ones."""

    id: str
    costs: tuple[Cost, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)

    def __str__(self) -> str:
        return self.id


def id_of(job: Job | str) -> str:
    return job.id if isinstance(job, Job) else job


def is_finished(details: Mapping[str, Any]) -> bool:
    """Return whether a job has ended, in whatever way: every final state sets the end date."""
    return bool(details.get("dateFinished"))


def stage_seconds(details: Mapping[str, Any]) -> dict[str, float]:
    """Return the seconds from each recorded moment of a job to the next, keyed by the earlier; empty without
    any."""
    times = details.get("times")
    moments = sorted((float(t), name) for name, t in times.items() if t) if isinstance(times, dict) else []
    return {name: later - earlier for (earlier, name), (later, _next) in pairwise(moments)}
