"""The Provider's SQLite file: nonces, used messages, revoked tokens, ended jobs. It holds nothing that a job
needs.

The file records when it was made. If it is lost, a new one begins, and by the time and name of the new file
the Provider recognises what was signed or issued before it: see :mod:`c2d_box.provider.auth.nonces` and
:mod:`c2d_box.provider.auth.tokens`.

One connection, one lock, write-ahead log, synced at every commit: a nonce that was accepted stays used
after a crash.
"""

from __future__ import annotations

import secrets
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_SCHEMA = """
CREATE TABLE IF NOT EXISTS nonces (
    scale TEXT NOT NULL, address TEXT NOT NULL, value TEXT NOT NULL, purpose TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (scale, address)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS deleted_tokens (
    digest TEXT PRIMARY KEY, expires INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS used_messages (
    id INTEGER PRIMARY KEY, address TEXT NOT NULL, digest BLOB NOT NULL UNIQUE, reach INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS used_messages_of ON used_messages (address);
CREATE TABLE IF NOT EXISTS ended_jobs (job TEXT PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS birth (
    one INTEGER PRIMARY KEY CHECK (one = 1), at REAL NOT NULL, name TEXT NOT NULL
);
"""


class ProviderDatabase:
    """The connection to the Provider's file. Statements take microseconds, so they run on the event loop's
    thread as well as on others."""

    def __init__(self, path: Path | str) -> None:
        if str(path) != ":memory:":
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        # One connection for all threads, under the lock below. Without an isolation level Python's module
        # opens no transactions of its own, so BEGIN and COMMIT are where :meth:`transaction` writes them.
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._lock = threading.Lock()
        self._connection.execute("PRAGMA journal_mode=WAL")
        # NORMAL would lose the last commits at a power failure, and a used nonce would then be accepted
        # again.
        self._connection.execute("PRAGMA synchronous=FULL")
        # Another process may hold the write lock, for instance the old pod during an update.
        self._connection.execute("PRAGMA busy_timeout=5000")
        # Every statement is IF NOT EXISTS, so an existing file is left as it is.
        self._connection.executescript(_SCHEMA)
        # IGNORE keeps the row of an existing file. Tokens and nonces depend on it for the file's whole life.
        self._connection.execute(
            "INSERT OR IGNORE INTO birth VALUES (1, ?, ?)", (time.time(), secrets.token_hex(16))
        )
        born = self._connection.execute("SELECT at, name FROM birth").fetchone()
        self.created = float(born[0])
        """Unix seconds at which this file was made."""
        self.name = str(born[1])
        """A random name: another file has another one, even at the same path."""

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Open a transaction that excludes other writers, also in other processes, from its first read on: a
        value that it has read is still the stored one when it replaces it."""
        with self._lock:
            # A deferred transaction takes the write lock at its first write only; two of them could then read
            # the same nonce, and both find it fresh.
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
            # Cancellation of a task counts too: a transaction that stays open would block all that follow.
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def fetch_one(self, statement: str, *values: object) -> tuple[object, ...] | None:
        """Return the first row of a query, None where there is none."""
        with self._lock:
            row: tuple[object, ...] | None = self._connection.execute(statement, values).fetchone()
            return row

    def close(self) -> None:
        """Close the file. No other call may follow."""
        with self._lock:
            self._connection.close()
