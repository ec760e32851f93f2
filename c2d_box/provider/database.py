"""The Provider's SQLite file: nonces and revoked tokens. It holds nothing that a job needs.

One connection, one lock, write-ahead log, synced at every commit: a nonce that was accepted stays used
after a crash.
"""

from __future__ import annotations

import sqlite3
import threading
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
"""


class Database:
    """Statements take microseconds, so they run on the event loop's thread as well as on others."""

    def __init__(self, path: Path | str) -> None:
        if str(path) != ":memory:":
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._lock = threading.Lock()
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=FULL")
        self._connection.execute("PRAGMA busy_timeout=5000")
        self._connection.executescript(_SCHEMA)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Exclusive from its first read on: what is compared is what is replaced, in other processes too."""
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def one(self, statement: str, *values: object) -> tuple[object, ...] | None:
        with self._lock:
            row: tuple[object, ...] | None = self._connection.execute(statement, values).fetchone()
            return row

    def close(self) -> None:
        with self._lock:
            self._connection.close()
