"""Replay protection: per caller a sliding window of values, each good once.

"Strictly greater", the original's rule, refuses requests that overtook each other. Here every value is
taken that is new and not below the window; the window is what keeps the table small.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

from c2d_box.operator_service.arguments import Refusal
from c2d_box.operator_service.database import Database
from c2d_box.workflow.jobtable import Connection

WINDOW = 4096
PRUNE_EVERY = 512
_LARGEST = Decimal(10) ** 40
_AT = "SELECT nonce FROM nonces WHERE provider = %s ORDER BY nonce DESC OFFSET %s LIMIT 1"


class Nonces:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._floors: dict[str, Decimal] = {}
        self._taken: dict[str, int] = {}

    async def take(self, caller: str, nonce: Decimal) -> None:
        """Raises Refusal for a value that was seen before or is below the window."""
        caller = caller.lower()
        async with self._database.session() as session:
            if caller not in self._floors:
                self._floors[caller] = await self._floor(session, caller)
            if nonce > self._floors[caller]:
                done = await session.execute(
                    "INSERT INTO nonces (provider, nonce) VALUES (%s, %s) ON CONFLICT DO NOTHING",
                    (caller, nonce),
                )
                if done.rowcount == 1:
                    await self._prune(session, caller)
                    return
        raise Refusal(400, f"Nonce {nonce} was used before or is too old.")

    async def _prune(self, session: Connection, caller: str) -> None:
        self._taken[caller] = self._taken.get(caller, 0) + 1
        if self._taken[caller] % PRUNE_EVERY:
            return
        floor = await self._floor(session, caller)
        await session.execute("DELETE FROM nonces WHERE provider = %s AND nonce < %s", (caller, floor))
        self._floors[caller] = floor

    @staticmethod
    async def _floor(session: Connection, caller: str) -> Decimal:
        found = await (await session.execute(_AT, (caller, WINDOW - 1))).fetchone()
        return Decimal(found["nonce"]) if found else Decimal(-1)


def parse(value: object) -> Decimal:
    """Seconds, milliseconds or nanoseconds, with or without fraction, as number or text; raises Refusal."""
    try:
        nonce = Decimal(str(value).strip())
    except InvalidOperation:
        raise Refusal(400, "Nonce is not a number.") from None
    if not nonce.is_finite() or not 0 <= nonce < _LARGEST or len(str(value)) > 60:
        raise Refusal(400, "Nonce is not a number.")
    return nonce
