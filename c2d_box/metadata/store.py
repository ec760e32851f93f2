"""The cache's SQLite file: every version of every document by block, so that a block taken back takes its
versions along.

    blocks      hashes of blocks up to which everything was read: where a reorganisation is found
    versions    one row per metadata event that was accepted; the last one of a DID is what counts
    records     the decorated DDO that is served, made from the last version
    orders      one row per OrderStarted: ``stats.orders``
    outcomes    what became of each metadata event, with the reason: ``state/ddo``
    retries     events whose document could not be fetched yet
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
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
    nft TEXT NOT NULL, did TEXT NOT NULL, tx TEXT NOT NULL, valid INTEGER NOT NULL, error TEXT NOT NULL,
    at REAL NOT NULL, PRIMARY KEY (nft, tx)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS retries (
    tx TEXT NOT NULL, position INTEGER NOT NULL, nft TEXT NOT NULL, block INTEGER NOT NULL,
    attempts INTEGER NOT NULL, next REAL NOT NULL, error TEXT NOT NULL, PRIMARY KEY (tx, position)
) WITHOUT ROWID;
"""
_KEPT_BLOCKS = 5000


@dataclass(frozen=True)
class Version:
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


class Store:
    """One connection under one lock; records are also held in memory, parsed, for searching."""

    def __init__(self, path: Path | str) -> None:
        if str(path) != ":memory:":
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._lock = threading.RLock()
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=NORMAL")
        self._connection.executescript(_SCHEMA)
        rows = self._connection.execute("SELECT did, record FROM records").fetchall()
        self.texts: dict[str, str] = dict(rows)
        self.records: dict[str, dict[str, Any]] = {did: json.loads(text) for did, text in rows}

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._connection.execute(statement, values).fetchall()

    # -- blocks

    def last_block(self) -> tuple[int, str] | None:
        rows = self.rows("SELECT number, hash FROM blocks ORDER BY number DESC LIMIT 1")
        return (rows[0][0], rows[0][1]) if rows else None

    def checkpoints(self) -> list[tuple[int, str]]:
        """Known blocks, the newest first."""
        return [(n, h) for n, h in self.rows("SELECT number, hash FROM blocks ORDER BY number DESC")]

    def checkpoint(self, number: int, block_hash: str) -> None:
        with self.transaction() as connection:
            connection.execute("INSERT OR REPLACE INTO blocks VALUES (?, ?)", (number, block_hash))
            connection.execute(
                "DELETE FROM blocks WHERE number NOT IN "
                "(SELECT number FROM blocks ORDER BY number DESC LIMIT ?)",
                (_KEPT_BLOCKS,),
            )

    def take_back(self, after: int) -> set[str]:
        """Forgets what blocks above ``after`` said; returns the DIDs that changed by it."""
        with self.transaction() as connection:
            changed = {
                row[0] for row in connection.execute("SELECT did FROM versions WHERE block > ?", (after,))
            }
            tokens = {
                row[0] for row in connection.execute("SELECT datatoken FROM orders WHERE block > ?", (after,))
            }
            for table, column in (
                ("versions", "block"),
                ("orders", "block"),
                ("retries", "block"),
                ("blocks", "number"),
            ):
                connection.execute(f"DELETE FROM {table} WHERE {column} > ?", (after,))
        return changed | {did for did in self.records if self.tokens_of(did) & tokens}

    # -- versions and records

    def add_version(self, version: Version) -> None:
        with self.transaction() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO versions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    version.did, version.block, version.position, version.nft, version.tx,
                    version.author, version.state, version.timestamp, version.document,
                ),
            )  # fmt: skip

    def versions(self, did: str) -> list[Version]:
        """Of one DID, the oldest first."""
        rows = self.rows(
            "SELECT did, block, position, nft, tx, author, state, timestamp, document FROM versions "
            "WHERE did = ? ORDER BY block, position",
            did,
        )
        return [Version(*row) for row in rows]

    def put_record(self, did: str, record: dict[str, Any]) -> None:
        text = json.dumps(record, separators=(",", ":"), ensure_ascii=False)
        with self.transaction() as connection:
            connection.execute("INSERT OR REPLACE INTO records VALUES (?, ?)", (did, text))
        self.texts[did], self.records[did] = text, record

    def drop_record(self, did: str) -> None:
        with self.transaction() as connection:
            connection.execute("DELETE FROM records WHERE did = ?", (did,))
        self.texts.pop(did, None)
        self.records.pop(did, None)

    def tokens_of(self, did: str) -> set[str]:
        """The datatokens of a served record, in lower case."""
        tokens = self.records.get(did, {}).get("datatokens") or []
        return {str(token.get("address", "")).lower() for token in tokens if isinstance(token, dict)}

    # -- orders

    def add_order(self, tx: str, position: int, datatoken: str, block: int) -> None:
        with self.transaction() as connection:
            connection.execute(
                "INSERT OR IGNORE INTO orders VALUES (?, ?, ?, ?)", (tx, position, datatoken.lower(), block)
            )

    def order_count(self, datatokens: set[str]) -> int:
        return sum(
            self.rows("SELECT COUNT(*) FROM orders WHERE datatoken = ?", token)[0][0] for token in datatokens
        )

    # -- outcomes and retries

    def put_outcome(self, nft: str, did: str, tx: str, error: str) -> None:
        """``error`` is empty when the event's document is served."""
        with self.transaction() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO outcomes VALUES (?, ?, ?, ?, ?, ?)",
                (nft, did, tx, int(not error), error, time.time()),
            )

    def put_retry(self, tx: str, position: int, nft: str, block: int, error: str) -> None:
        """Waits 1, 2, 4 … 300 seconds between attempts."""
        with self.transaction() as connection:
            row = connection.execute(
                "SELECT attempts FROM retries WHERE tx = ? AND position = ?", (tx, position)
            ).fetchone()
            attempts = (row[0] if row else 0) + 1
            wait = min(2 ** (attempts - 1), 300)
            connection.execute(
                "INSERT OR REPLACE INTO retries VALUES (?, ?, ?, ?, ?, ?, ?)",
                (tx, position, nft, block, attempts, time.time() + wait, error),
            )

    def drop_retry(self, tx: str, position: int) -> None:
        with self.transaction() as connection:
            connection.execute("DELETE FROM retries WHERE tx = ? AND position = ?", (tx, position))

    def due_retries(self) -> list[tuple[str, int, int]]:
        """(tx, position, block) of what should be tried again now."""
        return [
            (row[0], row[1], row[2])
            for row in self.rows("SELECT tx, position, block FROM retries WHERE next <= ?", time.time())
        ]

    def close(self) -> None:
        with self._lock:
            self._connection.close()
