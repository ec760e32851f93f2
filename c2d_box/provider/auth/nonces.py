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

from c2d_box.assets.addresses import checksum_address, is_address
from c2d_box.provider.database import ProviderDatabase
from c2d_box.provider.requests.fields import MAX_NONCE
from c2d_box.provider.settings import FirstNonce

Scale = Literal["client", "decrypter"]

STEP = 10_000
"""The distance by which a nonce may exceed the stored one: so many requests of one account may overtake each
other."""
AHEAD_SECONDS = 86_400
"""The seconds by which a caller's clock may be fast."""
USED_PER_ADDRESS = 1_000
"""Messages that are remembered for one account. Beyond it the account's counter becomes a time, see
:meth:`NonceStore._bound_messages`."""
USED_IN_ALL = 500_000
"""Messages that are remembered for all accounts together. Keys cost nothing, so without this bound anybody
could fill the disk."""
# Seconds, milliseconds and microseconds are what clients send; metadata caches send nanoseconds.
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


class NonceFreshness(Enum):
    """The verdict on a nonce. ``REPEATED``: it is the last used one, for the same request as before."""

    FRESH = "fresh"
    REPEATED = "repeated"
    STALE = "stale"
    USED = "used"
    """The signed text was used before, read in another way."""
    FAR = "far"
    """The nonce is neither one of a counter's next values nor the time now."""


@dataclass(frozen=True)
class _NonceRow:
    """The last used nonce of an account, and the request that it was used for (empty for most)."""

    value: Decimal
    purpose: str


class NonceStore:
    """The stored nonces of all addresses, and the messages whose second use they alone would not prevent."""

    def __init__(
        self, database: ProviderDatabase, start: FirstNonce = "one", clock: Callable[[], float] = time.time
    ) -> None:
        self._database = database
        self._clock = clock
        # One below the second in which the file was made, because clients add one to what they read.
        self._first = Decimal(1 if start == "one" else max(1, math.floor(database.created) - 1))
        # At each start, because an account that is locked cannot ask for its release by a signed request.
        self._free_locked()

    def last_used(self, address: str, scale: Scale = "client") -> str:
        """Return the last used value as text. For an address that has never used one, return the value it
        begins with; no row is made for it."""
        row = self._find_row(address, scale)
        return nonce_text(row.value if row else self._first)

    def counter_limit(self, address: str, scale: Scale = "client") -> str:
        """Return the largest value that is still accepted as the next one of a counter."""
        return nonce_text(Decimal(self.last_used(address, scale)) + STEP)

    def last_used_or_none(self, address: str) -> str | None:
        """Return the last used value as ``initialize`` shows it: None for an address that never used one."""
        row = self._find_row(checksum_address(address), "client") if is_address(address) else None
        return nonce_text(row.value) if row else None

    def check_nonce(
        self,
        address: str,
        nonce: Decimal,
        purpose: str = "",
        scale: Scale = "client",
        message: str = "",
    ) -> NonceFreshness:
        """Return what :meth:`take_nonce` would return now, without using the nonce."""
        # Outside a transaction: the answer may be outdated at once, which :meth:`take_nonce` finds out.
        judged = self._assess_nonce(self._find_row(address, scale), nonce, purpose, scale)
        if judged is NonceFreshness.FRESH and message:
            used = self._database.fetch_one(
                "SELECT 1 FROM used_messages WHERE digest = ?", _message_digest(address, message)
            )
            return NonceFreshness.USED if used else judged
        return judged

    def take_nonce(
        self,
        address: str,
        nonce: Decimal,
        purpose: str = "",
        scale: Scale = "client",
        message: str = "",
    ) -> NonceFreshness:
        """Use the nonce up if it is fresh, in one transaction: of many equal requests one gets FRESH.

        ``message``: the signed text with its nonce, where it could be read in more than one way.
        """
        with self._database.transaction() as connection:
            # Read again inside the transaction. What ``check_nonce`` saw may have been used meanwhile.
            row = _select_row(connection, address, scale)
            freshness = self._assess_nonce(row, nonce, purpose, scale)
            if freshness is not NonceFreshness.FRESH:
                return freshness
            if message:
                if _is_used(connection, address, message):
                    return NonceFreshness.USED
                # Before the nonce is written, in the same transaction: a crash in between must not leave one
                # without the other.
                self._remember_message(connection, address, message, _message_reach(message, nonce))
            _write_row(connection, address, scale, nonce, purpose)
            if message:
                self._bound_messages(connection, address, nonce)
        return freshness

    def advance_nonce(
        self, address: str, nonce: Decimal, purpose: str = "", message: str = ""
    ) -> NonceFreshness:
        """Use a nonce that no signature covers: the stored one rises by one at most, and only once for each
        ``message``, so that nobody but the owner can move it far."""
        with self._database.transaction() as connection:
            row = _select_row(connection, address, "client")
            # Tokens and bare texts exist for clients only; metadata caches sign every request.
            stored = row.value if row else self._first
            if row is not None and nonce <= stored:
                repeated = bool(purpose) and nonce == stored and purpose == row.purpose
                return NonceFreshness.REPEATED if repeated else NonceFreshness.STALE
            # The same bare text again changes nothing and is answered like the first time: it has no nonce,
            # so a repetition after a lost answer looks the same as a replay, and stopping a job twice does no
            # harm.
            if message and _is_used(connection, address, message):
                return NonceFreshness.FRESH
            # The nonce was not signed, so a captured request could name any. It may push the counter by one
            # and no further.
            value = min(nonce, stored + 1)
            _write_row(connection, address, "client", value, purpose)
            if message:
                self._remember_message(connection, address, message, _ALWAYS)
                self._bound_messages(connection, address, value)
        return NonceFreshness.FRESH

    def _find_row(self, address: str, scale: Scale) -> _NonceRow | None:
        found = self._database.fetch_one(_READ, scale, address)
        return _NonceRow(Decimal(str(found[0])), str(found[1])) if found else None

    def _assess_nonce(
        self, row: _NonceRow | None, nonce: Decimal, purpose: str, scale: Scale
    ) -> NonceFreshness:
        """Return the verdict on a nonce against the stored row. It decides for ``check_nonce`` and
        ``take_nonce`` alike."""
        # The first value itself is accepted from an account that has used none.
        if row is None:
            if nonce < self._first:
                return NonceFreshness.STALE
        # Equal and for the same purpose is a repetition of the very request; every other old nonce is a
        # replay.
        elif nonce <= row.value:
            repeated = bool(purpose) and nonce == row.value and purpose == row.purpose
            return NonceFreshness.REPEATED if repeated else NonceFreshness.STALE
        # A counter far ahead would lock its owner out, because nobody could go beyond it. A time is allowed
        # as well: many clients send milliseconds.
        counted = nonce <= (row.value if row else self._first) + STEP
        return NonceFreshness.FRESH if counted or self._is_now(nonce, scale) else NonceFreshness.FAR

    def _is_now(self, nonce: Decimal, scale: Scale) -> bool:
        """Return whether the value is a time between the making of the database and now (or a little later,
        see ``AHEAD_SECONDS``), in any unit that callers use."""
        now = self._clock()
        # A clock that was set back must not make every time too early.
        earliest, latest = math.floor(min(self._database.created, now)), math.ceil(now + AHEAD_SECONDS)
        return any(earliest * unit <= nonce <= latest * unit for unit in _UNITS[scale])

    def _remember_message(
        self, connection: sqlite3.Connection, address: str, message: str, reach: int
    ) -> None:
        # No reach: every reading of the text is at or below its own nonce, so the stored nonce alone makes it
        # stale.
        if reach:
            connection.execute(
                "INSERT OR IGNORE INTO used_messages (address, digest, reach) VALUES (?, ?, ?)",
                (address, _message_digest(address, message), reach),
            )

    def _bound_messages(self, connection: sqlite3.Connection, address: str, stored: Decimal) -> None:
        """Bound the number of remembered messages.

        Messages are forgotten once no reading of them can be fresh again. An account with very many is moved
        from its counter to the time now, which makes all readings with a small nonce stale.
        """
        _forget_messages(connection, address, stored)
        count, newest = connection.execute(
            "SELECT count(*), max(id) FROM used_messages WHERE address = ?", (address,)
        ).fetchone()
        # Times are larger than the small numbers that these texts could be read to end in.
        if count > USED_PER_ADDRESS:
            moved = max(stored, Decimal(math.floor(self._clock())))
            _write_row(connection, address, "client", moved, "")
            _forget_messages(connection, address, moved)
            connection.execute(
                "DELETE FROM used_messages WHERE address = ? AND id NOT IN"
                " (SELECT id FROM used_messages WHERE address = ? ORDER BY id DESC LIMIT ?)",
                (address, address, USED_PER_ADDRESS // 2),
            )
        # Ids rise over all accounts, so this drops the oldest messages of anybody.
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
                    # Beyond anything that is accepted, so no signed request of the account could pass.
                    if value > latest and not self._is_now(value, scale):
                        _write_row(connection, address, scale, Decimal(math.floor(now * unit)), "")


_READ = "SELECT value, purpose FROM nonces WHERE scale = ? AND address = ?"


def _select_row(connection: sqlite3.Connection, address: str, scale: str) -> _NonceRow | None:
    """Return the stored nonce inside a transaction, so that nobody else can change it before it is
    written."""
    found = connection.execute(_READ, (scale, address)).fetchone()
    return _NonceRow(Decimal(found[0]), found[1]) if found else None


def _write_row(
    connection: sqlite3.Connection, address: str, scale: str, value: Decimal, purpose: str
) -> None:
    """Store a nonce. The text keeps any size of number, which SQLite's integers would not."""
    connection.execute(
        "INSERT OR REPLACE INTO nonces VALUES (?, ?, ?, ?)", (scale, address, nonce_text(value), purpose)
    )


def _forget_messages(connection: sqlite3.Connection, address: str, stored: Decimal) -> None:
    """Drop the messages of which no reading is above the stored nonce."""
    connection.execute(
        "DELETE FROM used_messages WHERE address = ? AND reach <= ?", (address, math.floor(stored))
    )


def _is_used(connection: sqlite3.Connection, address: str, message: str) -> bool:
    """Return whether this signed text has been used by this address."""
    digest = _message_digest(address, message)
    return (
        connection.execute("SELECT 1 FROM used_messages WHERE digest = ?", (digest,)).fetchone() is not None
    )


def _message_reach(message: str, nonce: Decimal) -> int:
    """Return a bound above the largest other nonce that this text could be read to end in: once the stored
    nonce has reached it, no reading of the text is fresh. 0 where no reading is above the text's own
    nonce."""
    found = _DIGITS_AT_END.search(message)
    digits = found[1] if found else ""
    # Each number of trailing digits is a reading: "1" + nonce "25" can be read as "12" + nonce "5".
    readings = (int(digits[-length:]) for length in range(1, min(len(digits), _MOST_DIGITS) + 1))
    largest = max((reading for reading in readings if reading <= MAX_NONCE), default=0)
    return largest + 1 if largest > nonce else 0


def _message_digest(address: str, message: str) -> bytes:
    """Return the name of a used text. The address is part of it: another account may sign the same text."""
    # Surrogates can come from JSON escapes, and would otherwise raise while encoding.
    return sha256(f"{address}\n{message}".encode("utf-8", "surrogatepass")).digest()


def nonce_text(nonce: Decimal) -> str:
    """Return a nonce in its one spelling: 5, 5.0 and 5e0 are the same nonce and must read so."""
    return format(nonce.normalize(), "f")
