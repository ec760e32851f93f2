"""What is answered while PostgreSQL is away: reads, each once, and nothing that changes something."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from c2d_box.operator_service import database as module
from c2d_box.operator_service import nonces
from c2d_box.operator_service.arguments import OperatorRefusal
from c2d_box.operator_service.database import JobDatabase
from c2d_box.operator_service.nonces import OWED, RECENT_SECONDS, UsedNonces, seconds_of
from c2d_box.workflow import jobtable
from c2d_box.workflow.jobtable import PostgresSettings
from tests.unit.operator_service.conftest import JOB, OWNER, PREFIX, job_payload

CALLER = "0xprovider"
STATUS = f"{PREFIX}/compute?jobId={JOB}"


class SwitchedDatabase(JobDatabase):
    """PostgreSQL that can go away and come back, with the table of nonces."""

    def __init__(self) -> None:
        self.is_away = False
        self.table: set[tuple[str, Decimal]] = set()

    @contextlib.asynccontextmanager
    async def session(self) -> AsyncIterator[Any]:
        if self.is_away:
            raise OperatorRefusal(503, "PostgreSQL is not available.")
        yield self

    async def execute(self, statement: str, values: Any) -> SwitchedDatabase:
        given = set(zip(*values, strict=True)) if statement == nonces._TAKE else set()
        self.fresh = [{"provider": caller, "nonce": nonce} for caller, nonce in given - self.table]
        self.table |= given
        return self

    async def fetchall(self) -> list[dict[str, Any]]:
        return self.fresh


@pytest.fixture
def database() -> SwitchedDatabase:
    return SwitchedDatabase()


def now_ns() -> Decimal:
    return Decimal(time.time_ns())


async def test_a_read_is_answered_once(front_without_postgres: Any) -> None:
    front = front_without_postgres
    headers = front.signed("GET", STATUS)
    assert (await front.client.get(STATUS, headers=headers)).status_code == 200
    assert (await front.client.get(STATUS, headers=headers)).status_code == 400


async def test_an_old_read_is_not_answered(front_without_postgres: Any) -> None:
    front = front_without_postgres
    old = time.time_ns() - int((RECENT_SECONDS + 5) * 1e9)
    assert (await front.client.get(STATUS, headers=front.signed("GET", STATUS, nonce=old))).status_code == 503


@pytest.mark.parametrize(
    ("method", "path", "body", "query"),
    [
        ("POST", "/compute", job_payload(), {}),
        ("PUT", "/compute", None, {"jobId": JOB, "owner": OWNER}),
        ("DELETE", "/compute", None, {"jobId": JOB, "owner": OWNER}),
    ],
)
async def test_what_changes_something_waits_for_postgresql(
    front_without_postgres: Any, method: str, path: str, body: Any, query: dict[str, str]
) -> None:
    answer = await front_without_postgres.call(method, path, body, **query)
    assert (answer.status_code, answer.json()) == (503, {"error": "PostgreSQL is not available."})


async def test_a_value_taken_meanwhile_is_used_up_when_postgresql_is_back(database: SwitchedDatabase) -> None:
    taken = UsedNonces(database)
    database.is_away = True
    used = now_ns()
    await taken.take_nonce(CALLER, used, is_read=True)
    database.is_away = False
    taken._recent.clear()  # as after a minute
    with pytest.raises(OperatorRefusal) as refusal:
        await taken.take_nonce(CALLER, used, is_read=True)
    assert refusal.value.status == 400
    assert (CALLER, used) in database.table


async def test_a_value_taken_before_postgresql_went_away_is_not_taken_again(
    database: SwitchedDatabase,
) -> None:
    taken = UsedNonces(database)
    used = now_ns()
    await taken.take_nonce(CALLER, used)
    database.is_away = True
    with pytest.raises(OperatorRefusal) as refusal:
        await taken.take_nonce(CALLER, used, is_read=True)
    assert refusal.value.status == 400


async def test_what_is_remembered_is_bounded(database: SwitchedDatabase) -> None:
    now = time.time()
    taken = UsedNonces(database, clock=lambda: now)
    database.is_away = True
    for number in range(50):
        now += 10
        await taken.take_nonce(CALLER, Decimal(int(now * 1000) + number), is_read=True)
    assert len(taken._recent) < 10
    taken._owed *= OWED
    with pytest.raises(OperatorRefusal):
        await taken.take_nonce(CALLER, Decimal(int(now * 1000) + 99), is_read=True)


@pytest.mark.parametrize("unit", [1, 10**3, 10**6, 10**9], ids=["s", "ms", "us", "ns"])
def test_the_time_of_a_value_is_read_in_each_unit(unit: int) -> None:
    assert seconds_of(Decimal(1_796_000_000 * unit)) == pytest.approx(1_796_000_000)


async def test_a_failed_attempt_is_not_repeated_by_each_caller(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts: list[float] = []

    async def connect(where: PostgresSettings, secrets: Path) -> Any:
        attempts.append(time.monotonic())
        raise OSError("no route")

    monkeypatch.setattr(jobtable, "connect", connect)
    monkeypatch.setattr(module, "RENEWAL_PAUSE_SECONDS", 60.0)
    away = JobDatabase(PostgresSettings(host="nowhere"), tmp_path)
    for _ in range(5):
        with pytest.raises(OperatorRefusal) as refusal:
            async with away.session():
                pass
        assert refusal.value.status == 503
    assert len(attempts) == 1
    await away.close()


class OpenedSession:
    """As much of a session as :class:`Database` needs."""

    closed = False

    async def execute(self, query: str) -> None:
        pass

    async def close(self) -> None:
        self.closed = True


async def test_an_attempt_that_hangs_keeps_no_caller_waiting_once_postgresql_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It used to keep everybody refused for as long again as it had hung."""
    is_back = False

    async def connect(where: PostgresSettings, secrets: Path) -> Any:
        if is_back:
            return OpenedSession()
        await asyncio.sleep(3.0)
        raise OSError("no route")

    async def create_nonces(connection: Any) -> None:
        pass

    monkeypatch.setattr(jobtable, "connect", connect)
    monkeypatch.setattr(jobtable, "create_nonces", create_nonces)
    monkeypatch.setattr(module, "RENEWAL_SECONDS", 0.1)
    monkeypatch.setattr(module, "RENEWAL_PAUSE_SECONDS", 0.01)
    database = JobDatabase(PostgresSettings(host="somewhere"), tmp_path)
    with pytest.raises(OperatorRefusal):
        async with database.session():
            pass
    is_back = True
    async with asyncio.timeout(2.0):
        while True:
            try:
                async with database.session():
                    break
            except OperatorRefusal:
                await asyncio.sleep(0.02)
    await database.close()
