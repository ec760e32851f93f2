"""py-evm's database on SQLite: trie nodes and code, addressed by their hash, never removed.

Since nothing is overwritten, every past state root stays readable and any thread may read without a lock.
Writes gather in memory while a block is made; the ledger flushes them in the same transaction as the
block's index rows.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from lru import LRU

from sandbox.testchain.execution.evm import AtomicDBWriteBatch, AtomicWriteBatchAPI, BaseAtomicDB
from sandbox.testchain.storage.chain_store import ChainStore

# Nodes of a few hundred bytes each: some megabytes for the whole process.
CACHED_NODES = 16_384
NodeCache = (
    LRU  # bytes -> bytes, shared by all threads: its operations are atomic under the interpreter's lock
)


class TrieDatabase(BaseAtomicDB):
    """A view of the node table with an overlay of unflushed writes. One instance for each writer or call."""

    def __init__(self, store: ChainStore, cache: LRU[bytes, bytes]) -> None:
        self._store = store
        self._cache = cache
        # Writes since the last block; for a call they are dropped with this object.
        self._pending: dict[bytes, bytes] = {}

    def __getitem__(self, key: bytes) -> bytes:
        value = self._find_value(key)
        if value is None:
            raise KeyError(key)
        return value

    def __setitem__(self, key: bytes, value: bytes) -> None:
        self._pending[key] = value

    def __delitem__(self, key: bytes) -> None:
        # Committed nodes are never removed: an older state root may need them.
        self._pending.pop(key, None)

    def _exists(self, key: bytes) -> bool:
        return self._find_value(key) is not None

    def _find_value(self, key: bytes) -> bytes | None:
        # Own writes before the shared cache, then the file.
        value = self._pending.get(key)
        if value is None:
            value = self._cache.get(key)
        if value is None:
            row = (
                self._store.read_connection()
                .execute("SELECT value FROM nodes WHERE key = ?", (key,))
                .fetchone()
            )
            # Only committed nodes get here, so the cache holds nothing that may be rolled back.
            if row is not None:
                value = self._cache[key] = row[0]
        return value

    @contextmanager
    def atomic_batch(self) -> Iterator[AtomicWriteBatchAPI]:
        """Yield py-evm's batch; it reaches the overlay only when the block ends without an error."""
        with AtomicDBWriteBatch._commit_unless_raises(self) as batch:
            yield batch

    def flush_pending(self, connection: sqlite3.Connection) -> None:
        """Write the overlay inside the caller's transaction."""
        # OR IGNORE: a key is the hash of its value, so an existing row has the same value.
        connection.executemany("INSERT OR IGNORE INTO nodes VALUES (?, ?)", self._pending.items())

    def share_pending(self) -> None:
        """Share what was pending with all readers, after the transaction was committed."""
        for key, value in self._pending.items():
            self._cache[key] = value
        self._pending = {}

    def discard_pending(self) -> None:
        """Drop the overlay: a block that failed half-way must leave nothing to the next one."""
        self._pending = {}
