"""One session with PostgreSQL, renewed when it breaks; while PostgreSQL is away callers are
refused at once."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path

import psycopg

from c2d_box.operator_service.arguments import Refusal
from c2d_box.workflow import jobtable
from c2d_box.workflow.jobtable import Connection, PostgresSettings

IDLE_SECONDS = 0.5
"""Seconds out of use after which a session is tested before use: PostgreSQL may have been restarted since,
unnoticed.
"""

AWAY_SECONDS = 0.5
"""Seconds without another attempt after a failed one, or as long as that attempt took, if longer."""


class Database:
    """The one session, which callers use in turn."""

    def __init__(self, where: PostgresSettings, secrets: Path) -> None:
        self._where = where
        self._secrets = secrets
        self._lock = asyncio.Lock()
        self._connection: Connection | None = None
        self._used = 0.0
        self._schema = False
        self._away_until = 0.0

    @contextlib.asynccontextmanager
    async def session(self) -> AsyncIterator[Connection]:
        """Lend the session to one caller at a time; raises Refusal 503. A session that broke while it was out
        of use is renewed silently.
        """
        async with self._lock:
            try:
                yield await self._connected()
                self._used = time.monotonic()
            except (psycopg.OperationalError, OSError) as error:
                await self._drop()
                raise Refusal(503, "PostgreSQL is not available.") from error

    async def close(self) -> None:
        await self._drop()

    async def _connected(self) -> Connection:
        if self._connection is not None and not await self._answers(self._connection):
            await self._drop()
        if self._connection is None:
            self._connection = await self._connect()
            # What a crash of PostgreSQL may cost is half a second of nonces, for which no request shall wait.
            await self._connection.execute("SET synchronous_commit = off")
        if not self._schema:
            await jobtable.create_nonces(self._connection)
            self._schema = True
        return self._connection

    async def _connect(self) -> Connection:
        """Connect, but refuse at once right after a failed attempt: many callers that wait one after another
        for the same time-out would hold up reads that need no PostgreSQL for minutes.
        """
        began = time.monotonic()
        if began < self._away_until:
            raise Refusal(503, "PostgreSQL is not available.")
        try:
            return await jobtable.connect(self._where, self._secrets)
        except (psycopg.OperationalError, OSError):
            now = time.monotonic()
            self._away_until = now + max(AWAY_SECONDS, now - began)
            raise

    async def _answers(self, connection: Connection) -> bool:
        if connection.closed or time.monotonic() - self._used < IDLE_SECONDS:
            return not connection.closed
        with contextlib.suppress(psycopg.OperationalError, OSError):
            await connection.execute("SELECT 1")
            return True
        return False

    async def _drop(self) -> None:
        connection, self._connection, self._schema = self._connection, None, False
        if connection is not None:
            with contextlib.suppress(psycopg.Error, OSError):
                await connection.close()
