"""Per-job runtime state: lock, timer, retries and flags. In memory only; all of it can be lost."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field

from c2d_box.operator_engine.rules.observation import Step
from c2d_box.retry import Backoff

LONGEST_PAUSE_SECONDS = 10.0
"""Longest pause between two attempts after failures, and the pause after a fault of a rule."""
BURST = 200
"""Number of plans a job may have in quick succession: several times what the longest job needs."""
REFILL_SECONDS = 2.0
"""Seconds per plan after that burst, however many changes come: with every wait having its deadline, the
number of plans in a job's life is bounded.
"""


@dataclass(slots=True)
class PlanningPace:
    """A token bucket that limits how often a job is planned for."""

    plans: int = 0
    _left: float = BURST
    _at: float | None = None

    def take_turn(self, now: float) -> float:
        """Take a token and return 0; without one return the seconds until the next."""
        if self._at is not None:
            # A clock that is set back adds nothing, instead of taking tokens away.
            self._left = min(float(BURST), self._left + max(0.0, now - self._at) / REFILL_SECONDS)
        self._at = now
        if self._left < 1.0:
            return (1.0 - self._left) * REFILL_SECONDS
        self._left -= 1.0
        self.plans += 1
        return 0.0


@dataclass(slots=True)
class JobRuntime:
    """The engine's state of one job besides its objects. After a restart it starts empty.

    Reconcile rounds and the pods' reports hold ``lock``; ``changed`` is replaced after each change, so that
    every long poll that waits on it wakes once.
    """

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None
    timer: asyncio.TimerHandle | None = None
    pending: bool = False
    """True where something has changed since the last round began."""
    done: set[Step] = field(default_factory=set)
    """One-off steps of this process whose effect the cache does not show."""
    grants: bool = False
    """True once the grants were seen: they stay until the job's end, so they are not asked for again."""
    asked: dict[str, float] = field(default_factory=dict)
    """Moment at which each deletion was last asked for."""
    trouble: str = ""
    backoff: Backoff = field(default_factory=lambda: Backoff(0.1, LONGEST_PAUSE_SECONDS, 3.0))
    pace: PlanningPace = field(default_factory=PlanningPace)
    noted: str = ""
    """Version of the workflow that was last handed to the job table's writer."""

    def notify_waiters(self) -> None:
        """Wake the long polls that wait for a change of this job."""
        # Set and replaced: those who wait hold the old event, those who come later get a fresh one.
        self.changed.set()
        self.changed = asyncio.Event()

    def cancel_timer(self) -> None:
        """Cancel the deadline that would wake this job."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    def cancel_work(self) -> asyncio.Task[None] | None:
        """Stop the work but keep the long polls; return the task that was cancelled."""
        self.cancel_timer()
        task, self.task = self.task, None
        if task is not None:
            task.cancel()
        self.pending, self.trouble = False, ""
        self.backoff.reset()
        # Another engine leads meanwhile: what this one has done may be undone when it leads again.
        self.done.clear()
        self.asked.clear()
        return task


JobRuntimes = defaultdict[str, JobRuntime]
"""Runtime state by job name; a missing one is created on access."""
