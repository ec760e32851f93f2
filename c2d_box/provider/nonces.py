"""Each signed request works once. Nonces rise per address, hold under concurrency and survive restarts.

Keyed by the checksummed address (another spelling of it is no other caller). An address that has never
used a nonce reads as 1 and may begin with any value from 1 on. Decrypters (metadata caches) count in
nanoseconds, far beyond what a client can add one to, and therefore have a scale of their own.

A compute start remembers *what* its nonce was used for: the same request, sent again after a lost answer,
may go on where the first one stopped, and nothing else may.
"""

from __future__ import annotations

from decimal import Decimal
from enum import Enum
from typing import Literal

from c2d_box.assets.addresses import checksum, is_address
from c2d_box.provider.database import Database

Scale = Literal["client", "decrypter"]


class Freshness(Enum):
    FRESH = "fresh"
    REPEATED = "repeated"
    STALE = "stale"


class Nonces:
    def __init__(self, database: Database) -> None:
        self._database = database

    def stored(self, address: str, scale: Scale = "client") -> str:
        """The last used value as text; ``1`` for an address that never used one (and no row is made for
        it)."""
        row = self._row(address, scale)
        return row[0] if row else "1"

    def stored_or_none(self, address: str) -> str | None:
        """As ``initialize`` shows it: null for an address that never used one."""
        row = self._row(checksum(address), "client") if is_address(address) else None
        return row[0] if row else None

    def freshness(
        self, address: str, nonce: Decimal, purpose: str = "", scale: Scale = "client"
    ) -> Freshness:
        """What :meth:`use` would say, without using it."""
        return _compare(self._row(address, scale), nonce, purpose)

    def use(self, address: str, nonce: Decimal, purpose: str = "", scale: Scale = "client") -> Freshness:
        """Takes the nonce if it is fresh, in one transaction: of many equal requests one gets FRESH."""
        with self._database.transaction() as connection:
            row = connection.execute(
                "SELECT value, purpose FROM nonces WHERE scale = ? AND address = ?", (scale, address)
            ).fetchone()
            freshness = _compare(row, nonce, purpose)
            if freshness is Freshness.FRESH:
                connection.execute(
                    "INSERT OR REPLACE INTO nonces VALUES (?, ?, ?, ?)",
                    (scale, address, as_text(nonce), purpose),
                )
        return freshness

    def _row(self, address: str, scale: Scale) -> tuple[str, str] | None:
        row = self._database.one(
            "SELECT value, purpose FROM nonces WHERE scale = ? AND address = ?", scale, address
        )
        return (str(row[0]), str(row[1])) if row else None


def as_text(nonce: Decimal) -> str:
    return format(nonce.normalize(), "f")


def _compare(row: tuple[str, str] | None, nonce: Decimal, purpose: str) -> Freshness:
    if row is None:
        return Freshness.FRESH if nonce >= 1 else Freshness.STALE
    stored = Decimal(row[0])
    if nonce > stored:
        return Freshness.FRESH
    return Freshness.REPEATED if nonce == stored and purpose and purpose == row[1] else Freshness.STALE
