"""The session with PostgreSQL that broke while nobody used it."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import psycopg
import pytest

from c2d_box.operator_service import database as module
from c2d_box.operator_service.arguments import OperatorRefusal
from c2d_box.operator_service.database import JobDatabase
from c2d_box.workflow import jobtable
from c2d_box.workflow.jobtable import PostgresSettings


class Session:
    """What a connection says: nothing, once its server is gone."""

    closed = False

    def __init__(self) -> None:
        self.said: list[str] = []
        self.gone = False

    async def execute(self, statement: str) -> None:
        if self.gone:
            raise psycopg.OperationalError("server closed the connection unexpectedly")
        self.said.append(statement)

    @contextlib.asynccontextmanager
    async def transaction(self) -> Any:
        yield

    async def close(self) -> None:
        self.closed = True


@pytest.fixture
def sessions(monkeypatch: pytest.MonkeyPatch) -> list[Session]:
    begun: list[Session] = []

    async def connect(where: PostgresSettings, secrets: Path) -> Session:
        begun.append(Session())
        return begun[-1]

    async def create_nonces(session: Session) -> None:
        await session.execute("schema")

    monkeypatch.setattr(jobtable, "connect", connect)
    monkeypatch.setattr(jobtable, "create_nonces", create_nonces)
    return begun


@pytest.fixture
def database(tmp_path: Path) -> JobDatabase:
    return JobDatabase(PostgresSettings(host="postgres"), tmp_path)


async def test_a_session_that_broke_while_idle_is_renewed_silently(
    database: JobDatabase, sessions: list[Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "IDLE_SECONDS", 0.0)
    async with database.session() as session:
        await session.execute("first")
    sessions[0].gone = True
    async with database.session() as session:
        await session.execute("second")
    assert sessions[0].closed
    assert sessions[1].said[-2:] == ["schema", "second"]


async def test_one_that_breaks_in_use_is_told_and_not_used_again(
    database: JobDatabase, sessions: list[Session]
) -> None:
    with pytest.raises(OperatorRefusal) as refusal:
        async with database.session() as session:
            sessions[0].gone = True
            await session.execute("lost")
    assert refusal.value.status == 503
    async with database.session() as session:
        await session.execute("again")
    assert len(sessions) == 2


async def test_a_session_in_use_is_not_tried_each_time(
    database: JobDatabase, sessions: list[Session]
) -> None:
    for _ in range(3):
        async with database.session() as session:
            await session.execute("work")
    assert "SELECT 1" not in sessions[0].said
