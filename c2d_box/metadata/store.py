"""The cache's SQLite file: every version of every document by block, so that a block taken back takes its
versions along.

    blocks      hashes of blocks up to which everything was read: where a reorganisation is found
    versions    one row per metadata event that was accepted; the last one of a DID is what counts
    records     the decorated DDO that is served, made from the last version
    orders      one row per OrderStarted: ``stats.orders``
    outcomes    what became of each metadata event, with the reason: ``state/ddo``
    retries     events whose document has not been read yet
    stale       assets whose record could not be made anew yet

All of it can be read again from the chain, so a file of another schema is emptied, not converted.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

_SCHEMA = """
CREATE TABLE IF NOT EXISTS blocks (number INTEGER PRIMARY KEY, hash TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS versions (
    did TEXT NOT NULL, block INTEGER NOT NULL, position INTEGER NOT NULL, nft TEXT NOT NULL,
    tx TEXT NOT NULL, author TEXT NOT NULL, state INTEGER NOT NULL, timestamp INTEGER NOT NULL,
    document TEXT, PRIMARY KEY (did, block, position)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS versions_nft ON versions (nft);
CREATE TABLE IF NOT EXISTS records (did TEXT PRIMARY KEY, record TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS orders (
    tx TEXT NOT NULL, position INTEGER NOT NULL, datatoken TEXT NOT NULL, block INTEGER NOT NULL,
    PRIMARY KEY (tx, position)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS orders_datatoken ON orders (datatoken);
CREATE TABLE IF NOT EXISTS outcomes (
    tx TEXT NOT NULL, position INTEGER NOT NULL, nft TEXT NOT NULL, did TEXT NOT NULL, block INTEGER NOT NULL,
    state TEXT NOT NULL, error TEXT NOT NULL, at REAL NOT NULL, PRIMARY KEY (tx, position)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS outcomes_did ON outcomes (did, block, position);
CREATE TABLE IF NOT EXISTS retries (
    tx TEXT NOT NULL, position INTEGER NOT NULL, nft TEXT NOT NULL, did TEXT NOT NULL, block INTEGER NOT NULL,
    published TEXT NOT NULL, attempts INTEGER NOT NULL, next REAL NOT NULL, error TEXT NOT NULL,
    PRIMARY KEY (tx, position)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS stale (
    did TEXT PRIMARY KEY, attempts INTEGER NOT NULL, next REAL NOT NULL, error TEXT NOT NULL
) WITHOUT ROWID;
"""
_TABLES = ("blocks", "versions", "records", "orders", "outcomes", "retries", "stale")
_SCHEMA_VERSION = 2
_KEPT_BLOCKS = 5000
"""Checkpoints that are kept. A reorganisation deeper than all of them is handled by reading everything
anew."""
_LARGEST_INTEGER = 2**63 - 1
"""The largest value of a column; a block of a test chain may have any timestamp."""
_STALE_ATTEMPTS = 12
"""Attempts to make a record before only a new event of its asset tries again."""


class OutcomeState(StrEnum):
    """``WAITING``: the document is still to be read. ``REFUSED``: it will not be shown. ``FAILED``: nothing
    tries to read it any more, until somebody asks for it."""

    WAITING = "waiting"
    SERVED = "served"
    REFUSED = "refused"
    FAILED = "failed"


@dataclass(frozen=True)
class Publication:
    """One metadata event, with the URL and the hash of its document. ``attempts`` counts the tries to read
    the document; ``next`` is the time of the next one in seconds since 1970."""

    did: str
    nft: str
    tx: str
    position: int
    block: int
    author: str
    state: int
    timestamp: int
    decryptor_url: str
    document_hash: str
    attempts: int = 0
    next: float = 0.0

    @property
    def event_key(self) -> tuple[str, int]:
        """Transaction and log index, which name one event. The block is not part of it: it changes when a
        reorganisation moves the transaction."""
        return self.tx, self.position


@dataclass(frozen=True)
class EventOutcome:
    """The state of one metadata event's document, and the error where it is not served."""

    nft: str
    did: str
    tx: str
    position: int
    block: int
    state: OutcomeState
    error: str


@dataclass(frozen=True)
class AssetVersion:
    """One accepted metadata event. ``document`` is the published JSON text, None for a mere change of
    state."""

    did: str
    block: int
    position: int
    nft: str
    tx: str
    author: str
    state: int
    timestamp: int
    document: str | None


class MetadataStore:
    """The cache's file: one connection under one lock. Records are also held in memory, parsed, for
    searching."""

    def __init__(self, path: Path | str) -> None:
        if str(path) != ":memory:":
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        # Reentrant, because a transaction may be opened inside another one.
        self._lock = threading.RLock()
        self._connection.execute("PRAGMA journal_mode=WAL")
        # A commit that a power failure loses is read again from the chain, so the sync of each one can be
        # saved.
        self._connection.execute("PRAGMA synchronous=NORMAL")
        # Emptied, not converted: a rebuild from the chain is always right, a conversion would have to be
        # tested.
        if self._connection.execute("PRAGMA user_version").fetchone()[0] != _SCHEMA_VERSION:
            for table in _TABLES:
                self._connection.execute(f"DROP TABLE IF EXISTS {table}")
        self._connection.executescript(_SCHEMA)
        self._connection.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")
        rows = self._connection.execute("SELECT did, record FROM records").fetchall()
        # The text is served as it is stored; the parsed form is only for searches.
        self.texts: dict[str, str] = dict(rows)
        self.records: dict[str, dict[str, Any]] = {did: json.loads(text) for did, text in rows}

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Open a transaction; inside another one, become a part of it."""
        with self._lock:
            # The outer one commits or rolls back everything together.
            if self._connection.in_transaction:
                yield self._connection
                return
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def select_rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Return all rows of a query."""
        with self._lock:
            return self._connection.execute(statement, values).fetchall()

    # -- blocks

    def last_block(self) -> tuple[int, str] | None:
        """Return number and hash of the last block up to which everything was read, None before the first
        one."""
        rows = self.select_rows("SELECT number, hash FROM blocks ORDER BY number DESC LIMIT 1")
        return (rows[0][0], rows[0][1]) if rows else None

    def checkpoints(self) -> list[tuple[int, str]]:
        """Return number and hash of the blocks up to which everything was read, the newest first."""
        return [(n, h) for n, h in self.select_rows("SELECT number, hash FROM blocks ORDER BY number DESC")]

    def add_checkpoint(self, number: int, block_hash: str) -> None:
        """Record that everything up to this block was read."""
        with self.transaction() as connection:
            connection.execute("INSERT OR REPLACE INTO blocks VALUES (?, ?)", (number, block_hash))
            connection.execute(
                "DELETE FROM blocks WHERE number NOT IN "
                "(SELECT number FROM blocks ORDER BY number DESC LIMIT ?)",
                (_KEPT_BLOCKS,),
            )

    def take_back(self, after: int) -> set[str]:
        """Delete everything that came from blocks above ``after``. Return the DIDs that this changes."""
        with self.transaction() as connection:
            changed = {
                row[0] for row in connection.execute("SELECT did FROM versions WHERE block > ?", (after,))
            }
            # Orders change the statistics of assets that have no version in the removed blocks.
            tokens = {
                row[0] for row in connection.execute("SELECT datatoken FROM orders WHERE block > ?", (after,))
            }
            for table, column in (
                ("versions", "block"),
                ("orders", "block"),
                ("outcomes", "block"),
                ("retries", "block"),
                ("blocks", "number"),
            ):
                connection.execute(f"DELETE FROM {table} WHERE {column} > ?", (after,))
        # Outside the transaction, from memory: records are made anew by the caller.
        return changed | {did for did in self.records if self.tokens_of(did) & tokens}

    # -- versions and records

    def add_version(self, version: AssetVersion) -> None:
        """Store a version. The same event again replaces itself, so blocks can be read twice."""
        with self.transaction() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO versions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    version.did, version.block, version.position, version.nft, version.tx,
                    version.author, version.state, min(version.timestamp, _LARGEST_INTEGER),
                    version.document,
                ),
            )  # fmt: skip

    def asset_versions(self, did: str) -> list[AssetVersion]:
        """Return the versions of one DID, the oldest first."""
        rows = self.select_rows(
            "SELECT did, block, position, nft, tx, author, state, timestamp, document FROM versions "
            "WHERE did = ? ORDER BY block, position",
            did,
        )
        return [AssetVersion(*row) for row in rows]

    def put_record(self, did: str, record: dict[str, Any]) -> None:
        """Store the record that is served from now on. Memory follows the file, so a failed write changes
        neither."""
        text = json.dumps(record, separators=(",", ":"), ensure_ascii=False)
        with self.transaction() as connection:
            connection.execute("INSERT OR REPLACE INTO records VALUES (?, ?)", (did, text))
        self.texts[did], self.records[did] = text, record

    def drop_record(self, did: str) -> None:
        """Stop serving a record, for an asset of which no version is left."""
        with self.transaction() as connection:
            connection.execute("DELETE FROM records WHERE did = ?", (did,))
        self.texts.pop(did, None)
        self.records.pop(did, None)

    def tokens_of(self, did: str) -> set[str]:
        """Return the datatokens of a served record, in lower case."""
        tokens = self.records.get(did, {}).get("datatokens") or []
        return {str(token.get("address", "")).lower() for token in tokens if isinstance(token, dict)}

    # -- orders

    def add_order(self, tx: str, position: int, datatoken: str, block: int) -> None:
        """Count an order. IGNORE, because a block that is read again must not count twice."""
        with self.transaction() as connection:
            connection.execute(
                "INSERT OR IGNORE INTO orders VALUES (?, ?, ?, ?)", (tx, position, datatoken.lower(), block)
            )

    def order_count(self, datatokens: set[str]) -> int:
        """Return the number of orders of these datatokens (lower case)."""
        return sum(
            self.select_rows("SELECT COUNT(*) FROM orders WHERE datatoken = ?", token)[0][0]
            for token in datatokens
        )

    # -- outcomes, and documents that wait

    def put_outcome(self, publication: Publication, state: OutcomeState, error: str = "") -> None:
        """Replace the outcome of this event. A publication that no longer waits leaves the queue."""
        with self.transaction() as connection:
            if state is not OutcomeState.WAITING:
                connection.execute("DELETE FROM retries WHERE tx = ? AND position = ?", publication.event_key)
            connection.execute(
                "INSERT OR REPLACE INTO outcomes VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    publication.tx, publication.position, publication.nft, publication.did,
                    publication.block, state, printable_text(error), time.time(),
                ),
            )  # fmt: skip

    def event_outcome(self, tx: str, position: int) -> EventOutcome | None:
        """Return the outcome of one event, None where it was never seen."""
        return self._one_outcome("tx = ? AND position = ?", tx, position)

    def last_outcome(self, did: str) -> EventOutcome | None:
        """Return the outcome of an asset's newest metadata event."""
        return self._one_outcome("did = ?", did)

    def find_outcome(self, nft: str | None, did: str | None, tx: str | None) -> EventOutcome | None:
        """Return the newest outcome that has all of the given values."""
        return self._one_outcome(
            # Clients send addresses in any spelling. Each value is bound twice: for the test for NULL and the
            # comparison.
            "(? IS NULL OR lower(nft) = lower(?)) AND (? IS NULL OR did = ?) "
            "AND (? IS NULL OR tx = lower(?))",
            *(value for given in (nft, did, tx) for value in (given, given)),
        )

    def _one_outcome(self, condition: str, *values: object) -> EventOutcome | None:
        """Return the newest outcome that meets a condition, None where there is none."""
        rows = self.select_rows(
            # The condition is one of the fixed texts above; values are bound, never written into the
            # statement.
            f"SELECT nft, did, tx, position, block, state, error FROM outcomes WHERE {condition} "
            "ORDER BY block DESC, position DESC LIMIT 1",
            *values,
        )
        if not rows:
            return None
        nft, did, tx, position, block, state, error = rows[0]
        return EventOutcome(nft, did, tx, position, block, OutcomeState(state), error)

    def unread_outcome(self, did: str) -> EventOutcome | None:
        """Return the outcome of an asset's newest metadata event where that event is not the one served."""
        last = self.last_outcome(did)
        return last if last is not None and last.state is not OutcomeState.SERVED else None

    def queue(self, publication: Publication, error: str = "") -> None:
        """Store a document as waiting for its next attempt."""
        fields = asdict(publication)
        with self.transaction() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO retries VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    publication.tx, publication.position, publication.nft, publication.did,
                    publication.block, json.dumps(fields), publication.attempts, publication.next,
                    printable_text(error),
                ),
            )  # fmt: skip
            # In the same transaction: a document that waits has an outcome that says so.
            self.put_outcome(publication, OutcomeState.WAITING, error)

    def queued_publication(self, tx: str, position: int) -> Publication | None:
        """Return a document that waits, None where it no longer does."""
        rows = self.select_rows("SELECT published FROM retries WHERE tx = ? AND position = ?", tx, position)
        return Publication(**json.loads(rows[0][0])) if rows else None

    def waiting_publications(self) -> list[Publication]:
        """Return every document that waits, the oldest event first."""
        rows = self.select_rows("SELECT published FROM retries ORDER BY block, position")
        return [Publication(**json.loads(row[0])) for row in rows]

    # -- records that could not be made

    def put_stale(self, did: str, error: str) -> None:
        """Schedule the record's next attempt after 1, 2, 4 … 300 seconds. After twelve attempts only the next
        event of the asset tries again."""
        with self.transaction() as connection:
            row = connection.execute("SELECT attempts FROM stale WHERE did = ?", (did,)).fetchone()
            attempts = (row[0] if row else 0) + 1
            # 10**9 seconds stand for "never by itself"; the row stays, because it holds the reason.
            wait = min(2 ** (attempts - 1), 300) if attempts < _STALE_ATTEMPTS else 10**9
            connection.execute(
                "INSERT OR REPLACE INTO stale VALUES (?, ?, ?, ?)",
                (did, attempts, time.time() + wait, printable_text(error)),
            )

    def drop_stale(self, did: str) -> None:
        """Note that the record of an asset could be made."""
        with self.transaction() as connection:
            connection.execute("DELETE FROM stale WHERE did = ?", (did,))

    def due_stale(self) -> list[str]:
        """Return the assets whose record is to be tried again now, at most a hundred at once."""
        return [
            row[0] for row in self.select_rows("SELECT did FROM stale WHERE next <= ? LIMIT 100", time.time())
        ]

    def stale_reason(self, did: str) -> str:
        """Return the reason why the record of an asset could not be made anew; empty where it could."""
        rows = self.select_rows("SELECT error FROM stale WHERE did = ?", did)
        return str(rows[0][0]) if rows else ""

    def close(self) -> None:
        """Close the file. No other call may follow."""
        with self._lock:
            self._connection.close()


def printable_text(text: str) -> str:
    """Return the text in a form that SQLite and JSON can carry, at most 500 characters."""
    # Lone surrogates cannot be stored, and SQLite's functions end a text at its first zero byte.
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")[:500]
