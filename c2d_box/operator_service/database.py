"""One session with PostgreSQL, renewed when it breaks; who needs it while it is away is told so at once."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import psycopg

from c2d_box.operator_service.arguments import Refusal
from c2d_box.workflow import jobtable
from c2d_box.workflow.jobtable import Connection, Postgres


class Database:
    def __init__(self, where: Postgres, secrets: Path) -> None:
        self._where = where
        self._secrets = secrets
        self._lock = asyncio.Lock()
        self._connection: Connection | None = None
        self._schema = False

    @contextlib.asynccontextmanager
    async def session(self) -> AsyncIterator[Connection]:
        """The session, for one caller at a time; raises Refusal 503. One broken session is renewed
        silently.
        """
        async with self._lock:
            try:
                yield await self._connected()
            except (psycopg.OperationalError, OSError) as error:
                await self._drop()
                raise Refusal(503, "PostgreSQL is not available.") from error

    async def close(self) -> None:
        await self._drop()

    async def _connected(self) -> Connection:
        if self._connection is not None and self._connection.closed:
            self._connection = None
        if self._connection is None:
            self._connection = await jobtable.connect(self._where, self._secrets)
            # What a crash of PostgreSQL may cost is half a second of nonces, for which no request shall wait.
            await self._connection.execute("SET synchronous_commit = off")
        if not self._schema:
            await jobtable.create_schema(self._connection)
            self._schema = True
        return self._connection

    async def _drop(self) -> None:
        connection, self._connection, self._schema = self._connection, None, False
        if connection is not None:
            with contextlib.suppress(psycopg.Error, OSError):
                await connection.close()
