"""Replay protection: per caller a sliding window of values, each good once.

"Strictly greater", the original's rule, refuses requests that overtook each other. Here every value is
taken that is new and not below the window; the window is what keeps the table small. Values that come while
PostgreSQL is busy with others go into one statement together: one round trip for each was the most expensive
part of a status request.

While PostgreSQL is away, requests that change nothing are still answered: jobs are known from Kubernetes.
Their value must be a time of the last ``RECENT_SECONDS`` that this process has not seen, and it is written
down as soon as PostgreSQL is back. A restart of this service meanwhile can cost one repeated read of what the
caller had read in the same half minute. Requests that change something are refused with 503.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from c2d_box.operator_service.arguments import OperatorRefusal
from c2d_box.operator_service.database import JobDatabase
from c2d_box.workflow.jobtable import Connection

WINDOW = 4096
"""Values kept of each caller; one that is older than all of them is refused."""
PRUNE_EVERY = 512
"""Values of a caller after which its table is cut back to the window."""
BATCH = 256
"""Most values in one statement."""
RECENT_SECONDS = 30.0
"""Most seconds between a value and now, in either direction, for a read to be answered without PostgreSQL."""
OWED = 20_000
"""Most values that wait for PostgreSQL; a read beyond that is refused."""
_LARGEST = Decimal(10) ** 40
_TAKE = """
INSERT INTO nonces (provider, nonce)
SELECT given.provider, given.nonce FROM unnest(%s::text[], %s::numeric[]) AS given (provider, nonce)
WHERE given.nonce > coalesce((SELECT floor FROM nonce_floors WHERE provider = given.provider), -1)
ON CONFLICT DO NOTHING RETURNING provider, nonce
"""
_RAISE = """
INSERT INTO nonce_floors (provider, floor)
SELECT provider, nonce FROM nonces WHERE provider = %s ORDER BY nonce DESC OFFSET %s LIMIT 1
ON CONFLICT (provider) DO UPDATE SET floor = greatest(nonce_floors.floor, excluded.floor)
"""
_PRUNE = """
DELETE FROM nonces WHERE provider = %s
AND nonce <= (SELECT floor FROM nonce_floors WHERE nonce_floors.provider = nonces.provider)
"""


@dataclass(slots=True)
class _AskedNonce:
    """A value that a request waits for; ``answer`` says whether it was new."""

    caller: str
    nonce: Decimal
    answer: asyncio.Future[bool]

    @property
    def nonce_key(self) -> tuple[str, Decimal]:
        """Caller and value: two callers may use the same value."""
        return self.caller, self.nonce


class UsedNonces:
    """Accepts each value of a caller once; values that come together share one statement."""

    def __init__(self, database: JobDatabase, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock
        # Values accepted lately, in the order of their acceptance: what PostgreSQL may not know yet.
        self._recent: dict[tuple[str, Decimal], float] = {}
        self._owed: list[_AskedNonce] = []
        self._waiting: list[_AskedNonce] = []
        self._writing: asyncio.Task[None] | None = None
        self._taken: dict[str, int] = {}

    async def take_nonce(self, caller: str, nonce: Decimal, *, is_read: bool = False) -> None:
        """Use up ``nonce``; ``is_read`` says that the request changes nothing.

        Raises OperatorRefusal 400 for a value that was seen before or is below the window, 503 where
        PostgreSQL is away and the request cannot be answered without it.
        """
        # By the caller's address in lower case: its spelling must not make an old value new.
        asked = _AskedNonce(caller.lower(), nonce, asyncio.get_running_loop().create_future())
        if asked.nonce_key in self._recent:
            raise _used_refusal(nonce)
        # Two requests with one value can both come here: batch and PostgreSQL accept it once.
        self._waiting.append(asked)
        # Requests that come while a statement runs gather for the next one.
        if self._writing is None:
            self._writing = asyncio.create_task(self._write_all(), name="nonces")
        try:
            is_fresh = await asked.answer
        except OperatorRefusal:
            if not is_read or not self._is_recent(nonce) or len(self._owed) >= OWED:
                raise
            # Another request with this value may have been accepted during the wait.
            is_fresh = asked.nonce_key not in self._recent
            self._owed += [asked] if is_fresh else []
        if not is_fresh:
            raise _used_refusal(nonce)
        self._remember_nonce(asked)

    def _is_recent(self, nonce: Decimal) -> bool:
        """Return whether the nonce is a time close to now."""
        return abs(self._clock() - seconds_of(nonce)) <= RECENT_SECONDS

    def _remember_nonce(self, asked: _AskedNonce) -> None:
        """Remember a value that was taken just now, and forget those that are too old to be taken again."""
        now = self._clock()
        self._recent[asked.nonce_key] = now
        # Twice the window: a value may lie half a minute ahead when it is taken. Sorted by age, so the first
        # that is young enough ends the loop.
        while self._recent:
            oldest = next(iter(self._recent))
            if now - self._recent[oldest] <= 2 * RECENT_SECONDS + 1:
                return
            del self._recent[oldest]

    async def _write_all(self) -> None:
        """Write what waits, in batches, until nothing does."""
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
                await self._write_batch(batch)
        finally:
            self._writing = None

    async def _write_batch(self, batch: list[_AskedNonce]) -> None:
        """Write one batch and answer its requests; a failure is the answer to all of them."""
        try:
            async with self._database.session() as session:
                # What is owed goes first: else a value that was used during the
                # outage could be new to PostgreSQL.
                await self._settle_owed(session)
                fresh = await _insert_nonces(session, batch)
                await self._prune_nonces(session, batch)
        except Exception as problem:
            for asked in batch:
                # A request that was given up has cancelled its future.
                if not asked.answer.done():
                    asked.answer.set_exception(problem)
            return
        for asked in batch:
            good = (asked.caller, asked.nonce) in fresh
            fresh.discard((asked.caller, asked.nonce))  # the same value twice in one batch is good once
            if not asked.answer.done():
                asked.answer.set_result(good)

    async def _settle_owed(self, session: Connection) -> None:
        """Write the values that were accepted while PostgreSQL was away, before any other is accepted."""
        while self._owed:
            part = self._owed[:BATCH]
            await _insert_nonces(session, part)
            del self._owed[: len(part)]

    async def _prune_nonces(self, session: Connection, batch: list[_AskedNonce]) -> None:
        """Prune old values. The floor is raised first: a value below it is refused before its row is gone."""
        for asked in batch:
            self._taken[asked.caller] = self._taken.get(asked.caller, 0) + 1
            if self._taken[asked.caller] % PRUNE_EVERY == 0:
                await session.execute(_RAISE, (asked.caller, WINDOW))
                await session.execute(_PRUNE, (asked.caller,))


async def _insert_nonces(session: Connection, batch: list[_AskedNonce]) -> set[tuple[str, Decimal]]:
    """Insert the values; return those that were new."""
    values = ([asked.caller for asked in batch], [asked.nonce for asked in batch])
    found = await (await session.execute(_TAKE, values)).fetchall()
    return {(line["provider"], Decimal(line["nonce"])) for line in found}


def seconds_of(nonce: Decimal) -> float:
    """Return a nonce as Unix seconds; its size tells nano-, micro- and milliseconds from seconds."""
    value = float(nonce)
    # 1e11 seconds are in the year 5138; a millisecond clock passed that number in 1973.
    while value > 1e11:
        value /= 1000
    return value


def _used_refusal(nonce: Decimal) -> OperatorRefusal:
    """Return the refusal of a value that is known, or below the window; the two cannot be told apart."""
    return OperatorRefusal(400, f"Nonce {nonce} was used before or is too old.")


def parse_nonce(value: object) -> Decimal:
    """Return a nonce given in seconds, milliseconds or nanoseconds, with or without a fraction, as
    number or text. Raises OperatorRefusal.
    """
    try:
        nonce = Decimal(str(value).strip())
    except InvalidOperation:
        raise OperatorRefusal(400, "Nonce is not a number.") from None
    # Decimal takes "NaN", "Infinity" and exponents too. The length is bounded, so
    # the numeric column stays small.
    if not nonce.is_finite() or not 0 <= nonce < _LARGEST or len(str(value)) > 60:
        raise OperatorRefusal(400, "Nonce is not a number.")
    return nonce
