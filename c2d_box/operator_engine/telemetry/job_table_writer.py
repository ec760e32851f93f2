"""Keeps the job table up to date without ever holding up a job.

The latest state of each job waits in memory for one writer. While PostgreSQL is away it waits longer, and
after a restart every workflow is written anew. The answer to a pod's report waits for the row, but for a
second at most.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import psycopg

from c2d_box.retry import Backoff
from c2d_box.workflow import jobtable
from c2d_box.workflow.jobtable import Connection, PostgresSettings
from c2d_box.workflow.resource import WorkFlow

log = logging.getLogger(__name__)
ANNOUNCE_SECONDS = 15.0
"""Seconds between two announcements of the environments."""

Announce = Callable[[], Iterable[tuple[str, dict[str, Any]]]]


class JobTableWriter:
    """Writes rows and announcements over one connection; only the latest state of each job is written."""

    def __init__(self, where: PostgresSettings, secrets: Path) -> None:
        self._where = where
        self._secrets = secrets
        self._announce: Announce = tuple
        # The state to be written, by job; a newer one replaces it, so an outage costs no memory.
        self._latest: dict[str, WorkFlow] = {}
        self._news = asyncio.Event()
        self._written = asyncio.Condition()

    def announce_from(self, announce: Announce) -> None:
        """Set ``announce``, which returns each environment's id and announcement."""
        self._announce = announce

    def enqueue_row(self, workflow: WorkFlow) -> None:
        """Have the row of this job written soon, in this state or a newer one."""
        self._latest[workflow.job] = workflow
        self._news.set()

    async def flush_row(self, job: str, seconds: float) -> bool:
        """Wait until the row of ``job`` is written; return False when it was not within ``seconds``."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds), self._written:
                await self._written.wait_for(lambda: job not in self._latest)
                return True
        return False

    async def run(self) -> None:
        """Write until cancelled; after every failure of the database a new connection is opened."""
        backoff = Backoff(0.2, 5.0)
        while True:
            try:
                connection = await jobtable.connect(self._where, self._secrets)
                async with connection:
                    # At each connection: the database may have been set up anew meanwhile.
                    await jobtable.create_jobs(connection)
                    backoff.reset()
                    # Both over one connection: psycopg lets one statement after the other through.
                    await asyncio.gather(self._write_all(connection), self._announce_all(connection))
            except (psycopg.Error, OSError) as error:
                log.warning("PostgreSQL is away: %s", type(error).__name__)
                await asyncio.sleep(backoff.next_pause())

    async def _write_all(self, connection: Connection) -> None:
        while True:
            while self._latest:
                job, workflow = next(iter(self._latest.items()))
                try:
                    await jobtable.upsert_job(connection, workflow)
                # A row that PostgreSQL refuses is refused each time: it must not hold up those of other jobs.
                except psycopg.DataError as error:
                    log.error("row refused", extra={"job": job, "sqlstate": error.sqlstate})
                # Only if no newer state came meanwhile: that one is written next.
                if self._latest.get(job) is workflow:
                    del self._latest[job]
                async with self._written:
                    self._written.notify_all()
            # No await since the loop saw the dictionary empty, so no news can be missed.
            self._news.clear()
            await self._news.wait()

    async def _announce_all(self, connection: Connection) -> None:
        while True:
            for environment, announcement in self._announce():
                await jobtable.announce_environment(connection, environment, announcement)
            await asyncio.sleep(ANNOUNCE_SECONDS)
