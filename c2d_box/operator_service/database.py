"""One session with PostgreSQL, renewed when it breaks; while PostgreSQL is away callers are
refused at once.

Only nonces and the history of deleted jobs are there. All else is answered from Kubernetes, so nothing may
wait here for long (ADR 0038).
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path

import psycopg

from c2d_box.operator_service.arguments import OperatorRefusal
from c2d_box.workflow import jobtable
from c2d_box.workflow.jobtable import Connection, PostgresSettings

IDLE_SECONDS = 0.5
"""Seconds out of use after which a session is tested before use: PostgreSQL may have been restarted since,
unnoticed.
"""

RENEWAL_PAUSE_SECONDS = 0.2
"""The pause between attempts to reach a PostgreSQL that is away."""
RENEWAL_SECONDS = 1.0
"""Longest time of one attempt. One that began while PostgreSQL was away may wait for an address
where nothing answers any more.
"""


class JobDatabase:
    """The one session, which callers use in turn."""

    def __init__(self, where: PostgresSettings, secrets: Path) -> None:
        self._where = where
        self._secrets = secrets
        self._lock = asyncio.Lock()
        self._connection: Connection | None = None
        # Moment of the last use, and whether the tables were made in this session.
        self._used = 0.0
        self._schema = False
        self._renewal: asyncio.Task[None] | None = None

    @contextlib.asynccontextmanager
    async def session(self) -> AsyncIterator[Connection]:
        """Lend the session to one caller at a time; raises OperatorRefusal 503. A session that broke while it
        was out of use is renewed silently.
        """
        # One caller at a time: a PostgreSQL session runs one statement after the other anyway.
        async with self._lock:
            try:
                yield await self._ensure_connection()
                self._used = time.monotonic()
            # Dropped, not repaired: it is unknown what the broken session has still executed.
            except (psycopg.OperationalError, OSError) as error:
                await self._drop_connection()
                raise OperatorRefusal(503, "PostgreSQL is not available.") from error

    async def close(self) -> None:
        """End the session and the attempts to renew it."""
        if self._renewal is not None:
            # First: an attempt that succeeds later would leave a session open.
            self._renewal.cancel()
            await asyncio.gather(self._renewal, return_exceptions=True)
        await self._drop_connection()

    async def _ensure_connection(self) -> Connection:
        """Return the session, opened or tested as needed, with the tables in place."""
        if self._connection is not None and not await self._is_answering(self._connection):
            await self._drop_connection()
        if self._connection is None:
            self._connection = await self._open_connection()
        if not self._schema:
            await jobtable.create_nonces(self._connection)
            # As long as the session lives, see ``_drop_connection``: a new one makes the tables again.
            self._schema = True
        return self._connection

    async def _open_connection(self) -> Connection:
        """Return a new session. Where that fails, a task goes on trying, and until it succeeds callers are
        refused at once: many that wait one after another for the same time-out would keep reads that need no
        PostgreSQL for minutes."""
        if self._renewal is not None and not self._renewal.done():
            raise OperatorRefusal(503, "PostgreSQL is not available.")
        try:
            return await self._open()
        except (psycopg.OperationalError, OSError):
            self._renewal = asyncio.create_task(self._renew(), name="renew the session with PostgreSQL")
            raise

    async def _renew(self) -> None:
        """Try to open a session until one is open."""
        while True:
            await asyncio.sleep(RENEWAL_PAUSE_SECONDS)
            with contextlib.suppress(psycopg.OperationalError, OSError):  # also a TimeoutError
                async with asyncio.timeout(RENEWAL_SECONDS):
                    self._connection = await self._open()
                return

    async def _open(self) -> Connection:
        """Open a session with our settings. Raises psycopg.OperationalError or OSError."""
        connection = await jobtable.connect(self._where, self._secrets)
        # A crash of PostgreSQL may cost half a second of nonces: no request waits for the disk for them.
        try:
            await connection.execute("SET synchronous_commit = off")
        except BaseException:  # an attempt that is given up leaves no session open
            await connection.close()
            raise
        return connection

    async def _is_answering(self, connection: Connection) -> bool:
        """Return whether the session works. One that was in use a moment ago is believed without a test."""
        if connection.closed or time.monotonic() - self._used < IDLE_SECONDS:
            return not connection.closed
        with contextlib.suppress(psycopg.OperationalError, OSError):
            await connection.execute("SELECT 1")
            return True
        return False

    async def _drop_connection(self) -> None:
        """Close the session, if there is one; the next caller gets a new one."""
        connection, self._connection, self._schema = self._connection, None, False
        if connection is not None:
            with contextlib.suppress(psycopg.Error, OSError):
                await connection.close()
