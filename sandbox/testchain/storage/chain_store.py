"""One SQLite file holds the state trie and the index, so that a block is either wholly there or not at all.

Write-ahead log, one writing connection (the ledger's thread), one read-only connection for each reading
thread. A commit survives ``kill -9`` of the process; after a power cut the last blocks may be missing but
never half there.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from c2d_box.errors import Failed, StateProblem

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS nodes (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS blocks (
    number INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE, timestamp INTEGER NOT NULL,
    state_root BLOB NOT NULL, gas_used INTEGER NOT NULL, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS transactions (
    hash BLOB PRIMARY KEY, block INTEGER NOT NULL, position INTEGER NOT NULL, sender BLOB NOT NULL,
    tip INTEGER NOT NULL, raw BLOB NOT NULL, body TEXT NOT NULL, receipt TEXT NOT NULL) WITHOUT ROWID;
CREATE UNIQUE INDEX IF NOT EXISTS transactions_place ON transactions (block, position);
CREATE TABLE IF NOT EXISTS logs (
    block INTEGER NOT NULL, position INTEGER NOT NULL, address BLOB NOT NULL,
    topic0 BLOB, topic1 BLOB, topic2 BLOB, topic3 BLOB, body TEXT NOT NULL,
    PRIMARY KEY (block, position)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS logs_address ON logs (address, block);
CREATE INDEX IF NOT EXISTS logs_topic0 ON logs (topic0, block);
CREATE TABLE IF NOT EXISTS waiting (
    hash BLOB PRIMARY KEY, sender BLOB NOT NULL, nonce INTEGER NOT NULL, raw BLOB NOT NULL,
    UNIQUE (sender, nonce)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS snapshots (
    id INTEGER PRIMARY KEY AUTOINCREMENT, block INTEGER NOT NULL, clock TEXT NOT NULL, waiting TEXT NOT NULL);
"""


class ChainStore:
    """The open database file, owned by this process alone."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        # The lock first: a second process must not even create the tables.
        self._lock = _lock_folder(folder)
        self.path = folder / "chain.sqlite"
        self._threads = threading.local()
        self._readers: list[sqlite3.Connection] = []
        try:
            self._writer = self._open_connection()
            self._writer.executescript(_SCHEMA)
        except sqlite3.DatabaseError as error:
            # The lock goes back, so that the folder can be moved away and used anew.
            os.close(self._lock)
            raise Failed(
                "C2D-CHAIN-CORRUPT",
                f"{self.path} cannot be opened: {error}",
                "Move that folder away; the next start makes a new chain.",
            ) from error

    def read_connection(self) -> sqlite3.Connection:
        """Return the calling thread's own read-only connection; it sees every committed block."""
        connection: sqlite3.Connection | None = getattr(self._threads, "connection", None)
        if connection is None:
            connection = self._open_connection()
            # A slip in a query cannot write: only the ledger's thread may.
            connection.execute("PRAGMA query_only = ON")
            self._threads.connection = connection
            self._readers.append(connection)
        return connection

    @contextmanager
    def write_transaction(self) -> Iterator[sqlite3.Connection]:
        """Make one atomic change. Only the ledger's thread may enter."""
        # IMMEDIATE takes the write lock now; a deferred one could fail at its first write.
        self._writer.execute("BEGIN IMMEDIATE")
        try:
            yield self._writer
            self._writer.execute("COMMIT")
        except BaseException:
            # Also on SystemExit and a full disk: half a block must not stay open on the one writer. After
            # some failures SQLite has rolled back already.
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
            raise

    def close(self) -> None:
        """Fold the log into the file and release the folder. A second call does nothing."""
        if self._lock < 0:
            return
        # Readers first: an open one would keep the log from being folded in.
        for connection in self._readers:
            connection.close()
        self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._writer.close()
        os.close(self._lock)
        self._lock = -1

    def _open_connection(self) -> sqlite3.Connection:
        """Return a connection in autocommit mode; transactions are begun explicitly."""
        connection = sqlite3.connect(
            self.path, isolation_level=None, check_same_thread=False, cached_statements=256, timeout=30
        )
        # Readers go on while a block is written.
        connection.execute("PRAGMA journal_mode = WAL")
        # In WAL mode safe against a kill of the process, without an fsync for each block.
        connection.execute("PRAGMA synchronous = NORMAL")
        # Negative: KiB, so 8 MiB for each connection.
        connection.execute("PRAGMA cache_size = -8192")
        return connection


def _lock_folder(folder: Path) -> int:
    """Return the descriptor that holds the folder's lock; StateProblem C2D-CHAIN-LOCKED where it is taken.

    The kernel drops the lock with the process, so a kill leaves none behind.
    """
    handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(handle)
        raise StateProblem(
            "C2D-CHAIN-LOCKED",
            f"another process uses the chain in {folder}",
            "Stop it, or give this one another dataDir.",
        ) from error
    return handle
