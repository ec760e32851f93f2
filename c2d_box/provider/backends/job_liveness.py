"""Decides whether a job is alive, and with it its grants. While that is not known, a grant is not honoured.

operator-service is asked at every redemption, at most every other second for one job. That a job has ended is
remembered in the Provider's database, as long as its grants would last: it stays so over restarts, whatever
operator-service can say then. An answer is never taken from an event that may not have come.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from c2d_box.provider.backends.operator_client import OperatorClient, OperatorUnavailable
from c2d_box.provider.database import ProviderDatabase

FRESH_SECONDS = 2.0
"""The seconds for which "the job is alive" counts. So long can a grant outlive its job at most."""
_WRITE_AFTER_SECONDS = 0.2
"""The pause in which ends are collected for one transaction."""
_ALIVE_REMEMBERED = 10_000
"""Jobs whose last answer is remembered; beyond it all are asked for again."""


class JobLiveness:
    """Knows which jobs have ended. ``keep_seconds`` is the longest life of a grant: an ended job is
    remembered for so long, because after that its grants have expired anyway."""

    def __init__(
        self,
        operator: OperatorClient,
        database: ProviderDatabase,
        chain_id: int,
        keep_seconds: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._operator = operator
        self._database = database
        self._chain_id = chain_id
        self._keep_seconds = keep_seconds
        self._clock = clock
        self._alive: dict[str, float] = {}
        self._unwritten: set[str] = set()
        self._writing: asyncio.TimerHandle | None = None

    async def is_alive(self, job: str, owner: str) -> bool:
        """Return whether the job has not ended. Raise OperatorUnavailable when that is not known."""
        if self.has_ended(job):
            return False
        if self._clock() - self._alive.get(job, -FRESH_SECONDS) < FRESH_SECONDS:
            return True
        # The time of the question, not of the answer: the job may end while the answer is on its way.
        asked = self._clock()
        # An error or an answer of another shape is no permission: the grant fails closed.
        answer = await self._operator.job_status(owner, job, self._chain_id)
        if answer.status != 200 or not isinstance(answer.body, list):
            raise OperatorUnavailable
        found = [entry for entry in answer.body if isinstance(entry, dict) and entry.get("jobId") == job]
        if not found:  # nobody knows it, so it was deleted
            return False
        if found[0].get("dateFinished"):
            self.record_end(job)
        if self.has_ended(job):  # also by an event that came meanwhile
            return False
        if len(self._alive) >= _ALIVE_REMEMBERED:
            self._alive.clear()
        self._alive[job] = asked
        return True

    def has_ended(self, job: str) -> bool:
        """Return whether the job is known to have ended. An end is final, so no service needs to be asked."""
        if job in self._unwritten:
            return True
        return self._database.fetch_one("SELECT 1 FROM ended_jobs WHERE job = ?", job) is not None

    def record_end(self, job: str) -> None:
        """Remember a job's end. Many of these calls come at once when the event stream begins, so they are
        written to the database together, a moment later; :meth:`has_ended` knows them at once."""
        if self.has_ended(job):
            return
        self._alive.pop(job, None)
        self._unwritten.add(job)
        if self._writing is None:
            self._writing = asyncio.get_running_loop().call_later(_WRITE_AFTER_SECONDS, self.write_ends)

    def write_ends(self) -> None:
        """Write the remembered ends to the database, and forget those older than any grant."""
        if self._writing is not None:
            self._writing.cancel()
            self._writing = None
        # Unix time and not the monotonic clock, because the rows outlive the process.
        now, ended = int(time.time()), [(job,) for job in self._unwritten]
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM ended_jobs WHERE at < ?", (now - self._keep_seconds,))
            connection.executemany(f"INSERT OR REPLACE INTO ended_jobs VALUES (?, {now})", ended)
        # Only after the commit: an end whose writing fails is still known, and is written with the next ones.
        self._unwritten.clear()
