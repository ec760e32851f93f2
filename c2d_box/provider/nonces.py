"""Makes each signed request work once. Nonces rise per address, also under concurrency and over restarts.

A nonce is stored under the checksummed address, so another spelling of an address is not another caller.
Decrypters (metadata caches) count in nanoseconds, far beyond what a client can add one to, and therefore have
a scale of their own.

Ocean concatenates a message and its nonce without a separator, so a signature for result 12 with nonce 5
is also one for result 1 with nonce 25, and 25 is larger than 5. Where a message ends in digits of any
number, the used text itself is therefore remembered, as long as another reading of it could be fresh.

No caller can move a nonce out of reach. A nonce is the next of a counter (at most ``STEP`` ahead) or the time
now. A nonce that no signature covers (of a token's bearer, of ocean.js' stop) moves the stored one by one.

An address that has never used a nonce reads as 1, or, with ``start="created"``, as the time at which the
database was made. The latter makes all counters of a lost database stale. Nonces that are times are stale in
either case when they are older than the database.

A compute start remembers the request its nonce was used for: the same request, sent again after a lost
answer, may go on where the first one stopped, and nothing else may.
"""

from __future__ import annotations

import math
import re
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from hashlib import sha256
from typing import Literal

from c2d_box.assets.addresses import checksum, is_address
from c2d_box.provider.database import Database
from c2d_box.provider.fields import MAX_NONCE

Scale = Literal["client", "decrypter"]
Start = Literal["one", "created"]

STEP = 10_000
"""The distance by which a nonce may exceed the stored one: so many requests of one account may overtake each
other."""
AHEAD_SECONDS = 86_400
"""The seconds by which a caller's clock may be fast."""
USED_PER_ADDRESS = 1_000
USED_IN_ALL = 500_000
_UNITS: dict[Scale, tuple[int, ...]] = {
    "client": (1, 1_000, 1_000_000),
    "decrypter": (1, 1_000, 1_000_000, 1_000_000_000),
}
_RECOVERED: dict[Scale, int] = {"client": 1_000, "decrypter": 1_000_000_000}
"""Units per second of most callers whose nonces are times: a locked account goes on from now in this unit."""
_DIGITS_AT_END = re.compile(r"([0-9]*)(?:\.[0-9]+)?\Z")
_MOST_DIGITS = len(str(MAX_NONCE))
_ALWAYS = MAX_NONCE + 1
"""The reach of a message without a nonce: no stored nonce is beyond it."""


class Freshness(Enum):
    """The verdict on a nonce. ``REPEATED``: it is the last used one, for the same request as before."""

    FRESH = "fresh"
    REPEATED = "repeated"
    STALE = "stale"
    USED = "used"
    """The signed text was used before, read in another way."""
    FAR = "far"
    """The nonce is neither one of a counter's next values nor the time now."""


@dataclass(frozen=True)
class _Row:
    value: Decimal
    purpose: str


class Nonces:
    """The stored nonces of all addresses, and the messages whose second use they alone would not prevent."""

    def __init__(
        self, database: Database, start: Start = "one", clock: Callable[[], float] = time.time
    ) -> None:
        self._database = database
        self._clock = clock
        self._first = Decimal(1 if start == "one" else max(1, math.floor(database.created) - 1))
        self._free_locked()

    def stored(self, address: str, scale: Scale = "client") -> str:
        """Return the last used value as text. For an address that has never used one, return the value it
        begins with; no row is made for it."""
        row = self._row(address, scale)
        return as_text(row.value if row else self._first)

    def limit(self, address: str, scale: Scale = "client") -> str:
        """Return the largest value that is still accepted as the next one of a counter."""
        return as_text(Decimal(self.stored(address, scale)) + STEP)

    def stored_or_none(self, address: str) -> str | None:
        """Return the last used value as ``initialize`` shows it: None for an address that never used one."""
        row = self._row(checksum(address), "client") if is_address(address) else None
        return as_text(row.value) if row else None

    def freshness(
        self,
        address: str,
        nonce: Decimal,
        purpose: str = "",
        scale: Scale = "client",
        message: str = "",
    ) -> Freshness:
        """Return what :meth:`use` would return now, without using the nonce."""
        judged = self._judged(self._row(address, scale), nonce, purpose, scale)
        if judged is Freshness.FRESH and message:
            used = self._database.one(
                "SELECT 1 FROM used_messages WHERE digest = ?", _digest(address, message)
            )
            return Freshness.USED if used else judged
        return judged

    def use(
        self,
        address: str,
        nonce: Decimal,
        purpose: str = "",
        scale: Scale = "client",
        message: str = "",
    ) -> Freshness:
        """Use the nonce up if it is fresh, in one transaction: of many equal requests one gets FRESH.

        ``message``: the signed text with its nonce, where it could be read in more than one way.
        """
        with self._database.transaction() as connection:
            row = _read(connection, address, scale)
            freshness = self._judged(row, nonce, purpose, scale)
            if freshness is not Freshness.FRESH:
                return freshness
            if message:
                if _is_used(connection, address, message):
                    return Freshness.USED
                self._remember(connection, address, message, _reach(message, nonce))
            _write(connection, address, scale, nonce, purpose)
            if message:
                self._bound(connection, address, nonce)
        return freshness

    def advance(self, address: str, nonce: Decimal, purpose: str = "", message: str = "") -> Freshness:
        """Use a nonce that no signature covers: the stored one rises by one at most, and only once for each
        ``message``, so that nobody but the owner can move it far."""
        with self._database.transaction() as connection:
            row = _read(connection, address, "client")
            stored = row.value if row else self._first
            if row is not None and nonce <= stored:
                repeated = bool(purpose) and nonce == stored and purpose == row.purpose
                return Freshness.REPEATED if repeated else Freshness.STALE
            if message and _is_used(connection, address, message):
                return Freshness.FRESH
            value = min(nonce, stored + 1)
            _write(connection, address, "client", value, purpose)
            if message:
                self._remember(connection, address, message, _ALWAYS)
                self._bound(connection, address, value)
        return Freshness.FRESH

    def _row(self, address: str, scale: Scale) -> _Row | None:
        found = self._database.one(_READ, scale, address)
        return _Row(Decimal(str(found[0])), str(found[1])) if found else None

    def _judged(self, row: _Row | None, nonce: Decimal, purpose: str, scale: Scale) -> Freshness:
        if row is None:
            if nonce < self._first:
                return Freshness.STALE
        elif nonce <= row.value:
            repeated = bool(purpose) and nonce == row.value and purpose == row.purpose
            return Freshness.REPEATED if repeated else Freshness.STALE
        counted = nonce <= (row.value if row else self._first) + STEP
        return Freshness.FRESH if counted or self._is_now(nonce, scale) else Freshness.FAR

    def _is_now(self, nonce: Decimal, scale: Scale) -> bool:
        """Return whether the value is a time between the making of the database and now (or a little later,
        see ``AHEAD_SECONDS``), in any unit that callers use."""
        now = self._clock()
        earliest, latest = math.floor(min(self._database.created, now)), math.ceil(now + AHEAD_SECONDS)
        return any(earliest * unit <= nonce <= latest * unit for unit in _UNITS[scale])

    def _remember(self, connection: sqlite3.Connection, address: str, message: str, reach: int) -> None:
        if reach:
            connection.execute(
                "INSERT OR IGNORE INTO used_messages (address, digest, reach) VALUES (?, ?, ?)",
                (address, _digest(address, message), reach),
            )

    def _bound(self, connection: sqlite3.Connection, address: str, stored: Decimal) -> None:
        """Bound the number of remembered messages.

        Messages are forgotten once no reading of them can be fresh again. An account with very many is moved
        from its counter to the time now, which makes all readings with a small nonce stale.
        """
        _forget(connection, address, stored)
        count, newest = connection.execute(
            "SELECT count(*), max(id) FROM used_messages WHERE address = ?", (address,)
        ).fetchone()
        if count > USED_PER_ADDRESS:
            moved = max(stored, Decimal(math.floor(self._clock())))
            _write(connection, address, "client", moved, "")
            _forget(connection, address, moved)
            connection.execute(
                "DELETE FROM used_messages WHERE address = ? AND id NOT IN"
                " (SELECT id FROM used_messages WHERE address = ? ORDER BY id DESC LIMIT ?)",
                (address, address, USED_PER_ADDRESS // 2),
            )
        if newest:
            connection.execute("DELETE FROM used_messages WHERE id <= ?", (newest - USED_IN_ALL,))

    def _free_locked(self) -> None:
        """Free accounts whose nonce was moved out of reach while that was possible: set it to the time now,
        in the unit of their callers. What was signed before is older than that, or older than the
        database."""
        now = self._clock()
        with self._database.transaction() as connection:
            for scale, unit in _RECOVERED.items():
                rows = connection.execute("SELECT address, value FROM nonces WHERE scale = ?", (scale,))
                latest = math.ceil((now + AHEAD_SECONDS) * unit)
                for address, text in rows.fetchall():
                    value = Decimal(text)
                    if value > latest and not self._is_now(value, scale):
                        _write(connection, address, scale, Decimal(math.floor(now * unit)), "")


_READ = "SELECT value, purpose FROM nonces WHERE scale = ? AND address = ?"


def _read(connection: sqlite3.Connection, address: str, scale: str) -> _Row | None:
    found = connection.execute(_READ, (scale, address)).fetchone()
    return _Row(Decimal(found[0]), found[1]) if found else None


def _write(connection: sqlite3.Connection, address: str, scale: str, value: Decimal, purpose: str) -> None:
    connection.execute(
        "INSERT OR REPLACE INTO nonces VALUES (?, ?, ?, ?)", (scale, address, as_text(value), purpose)
    )


def _forget(connection: sqlite3.Connection, address: str, stored: Decimal) -> None:
    connection.execute(
        "DELETE FROM used_messages WHERE address = ? AND reach <= ?", (address, math.floor(stored))
    )


def _is_used(connection: sqlite3.Connection, address: str, message: str) -> bool:
    digest = _digest(address, message)
    return (
        connection.execute("SELECT 1 FROM used_messages WHERE digest = ?", (digest,)).fetchone() is not None
    )


def _reach(message: str, nonce: Decimal) -> int:
    """Return a bound above the largest other nonce that this text could be read to end in: once the stored
    nonce has reached it, no reading of the text is fresh. 0 where no reading is above the text's own
    nonce."""
    found = _DIGITS_AT_END.search(message)
    digits = found[1] if found else ""
    readings = (int(digits[-length:]) for length in range(1, min(len(digits), _MOST_DIGITS) + 1))
    largest = max((reading for reading in readings if reading <= MAX_NONCE), default=0)
    return largest + 1 if largest > nonce else 0


def _digest(address: str, message: str) -> bytes:
    return sha256(f"{address}\n{message}".encode("utf-8", "surrogatepass")).digest()


def as_text(nonce: Decimal) -> str:
    return format(nonce.normalize(), "f")
