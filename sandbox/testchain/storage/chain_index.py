"""Rows of blocks, transactions, receipts and logs: written with a block, read by every query.

Logs are found by address, first topic and block through ordinary SQL indexes; bloom filters are only
rendered, never searched. Bodies are stored as finished JSON text and returned as :class:`RawJson`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sandbox.testchain.storage.chain_store import ChainStore

# One entry per position; None accepts any topic there.
Topics = Sequence[frozenset[bytes] | None]


class RawJson(str):
    """Text that is JSON already and goes into the answer as it is."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class ChainHead:
    """The newest block, as the ledger and its listeners see it."""

    number: int
    hash: bytes
    timestamp: int
    state_root: bytes


class LogRow(NamedTuple):
    """A log, as its table stores it."""

    block: int
    position: int
    address: bytes
    topics: tuple[bytes, ...]
    body: str


class TransactionRow(NamedTuple):
    """A transaction with its receipt, as its table stores them."""

    hash: bytes
    block: int
    position: int
    sender: bytes
    tip: int
    """Wei per gas above the base fee."""
    raw: bytes
    body: str
    receipt: str


class BlockRow(NamedTuple):
    """A block, as its table stores it."""

    number: int
    hash: bytes
    timestamp: int
    state_root: bytes
    gas_used: int
    body: str


@dataclass(frozen=True, slots=True)
class LogFilter:
    """The conditions of ``eth_getLogs`` on a log, without its range of blocks. An empty address set and None
    topics match everything."""

    addresses: frozenset[bytes] = frozenset()
    topics: tuple[frozenset[bytes] | None, ...] = ()


def insert_block(
    db: sqlite3.Connection, block: BlockRow, transactions: Iterable[TransactionRow], logs: Iterable[LogRow]
) -> None:
    """Add a block with all that is in it, inside the caller's transaction."""
    db.execute("INSERT INTO blocks VALUES (?, ?, ?, ?, ?, ?)", block)
    db.executemany("INSERT INTO transactions VALUES (?, ?, ?, ?, ?, ?, ?, ?)", transactions)
    db.executemany(
        "INSERT INTO logs VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            # Missing topics are NULL; the fields of the rows are in the tables' order.
            (log.block, log.position, log.address, *(*log.topics, None, None, None, None)[:4], log.body)
            for log in logs
        ),
    )


def truncate_blocks(db: sqlite3.Connection, number: int) -> None:
    """Forget every block above ``number``, inside the caller's transaction."""
    # No foreign keys: the order here keeps no log without its block.
    db.execute("DELETE FROM logs WHERE block > ?", (number,))
    db.execute("DELETE FROM transactions WHERE block > ?", (number,))
    db.execute("DELETE FROM blocks WHERE number > ?", (number,))


class ChainIndex:
    """Queries on the stored blocks; safe from any thread."""

    def __init__(self, store: ChainStore) -> None:
        self._store = store

    def _fetch_row(self, sql: str, *values: object) -> tuple[object, ...] | None:
        """Return the first row of a query, or None."""
        row: tuple[object, ...] | None = self._store.read_connection().execute(sql, values).fetchone()
        return row

    def _fetch_json(self, sql: str, *values: object) -> RawJson | None:
        """Return the first column of the first row as stored JSON, or None."""
        row = self._fetch_row(sql, *values)
        return None if row is None else RawJson(row[0])

    def newest_head(self) -> ChainHead | None:
        """Return the newest block, or None in an empty database."""
        row = self._store.read_connection().execute(
            "SELECT number, hash, timestamp, state_root FROM blocks ORDER BY number DESC LIMIT 1"
        )
        found = row.fetchone()
        return None if found is None else ChainHead(*found)

    def head_at(self, number: int) -> ChainHead | None:
        """Return the block with this number as a head, or None."""
        found = self._store.read_connection().execute(
            "SELECT number, hash, timestamp, state_root FROM blocks WHERE number = ?", (number,)
        )
        row = found.fetchone()
        return None if row is None else ChainHead(*row)

    def number_of(self, block_hash: bytes) -> int | None:
        """Return the number of the block with this hash, or None."""
        row = (
            self._store.read_connection()
            .execute("SELECT number FROM blocks WHERE hash = ?", (block_hash,))
            .fetchone()
        )
        return None if row is None else int(row[0])

    def hashes_below(self, number: int, count: int) -> list[bytes]:
        """Return the hashes of up to ``count`` blocks under ``number``, newest first (the
        BLOCKHASH opcode)."""
        rows = self._store.read_connection().execute(
            "SELECT hash FROM blocks WHERE number < ? ORDER BY number DESC LIMIT ?", (number, count)
        )
        return [row[0] for row in rows]

    def hashes_between(self, low: int, high: int) -> list[bytes]:
        """Return the hashes of the blocks ``low..high``, in order."""
        rows = self._store.read_connection().execute(
            "SELECT hash FROM blocks WHERE number BETWEEN ? AND ? ORDER BY number", (low, high)
        )
        return [row[0] for row in rows]

    def block(self, number: int, full: bool) -> RawJson | None:
        """Return a block as JSON, its transactions whole or as hashes; None where there is none."""
        body = self._fetch_json("SELECT body FROM blocks WHERE number = ?", number)
        if body is None:
            return None
        rows = self._store.read_connection().execute(
            f"SELECT {'body' if full else 'hash'} FROM transactions WHERE block = ? ORDER BY position",
            (number,),
        )
        inner = (row[0] if full else f'"0x{row[0].hex()}"' for row in rows)
        # The stored body is a JSON object without transactions: they go in before its last brace.
        return RawJson(f'{body[:-1]},"transactions":[{",".join(inner)}]}}')

    def transaction_count(self, number: int) -> int:
        """Return how many transactions a block has; 0 where there is no such block."""
        row = self._fetch_row("SELECT count(*) FROM transactions WHERE block = ?", number)
        return 0 if row is None else int(str(row[0]))

    def find_transaction(self, tx_hash: bytes) -> RawJson | None:
        """Return a mined transaction as JSON, or None."""
        return self._fetch_json("SELECT body FROM transactions WHERE hash = ?", tx_hash)

    def transaction_at(self, number: int, position: int) -> RawJson | None:
        """Return the transaction at a place as JSON, or None."""
        return self._fetch_json(
            "SELECT body FROM transactions WHERE block = ? AND position = ?", number, position
        )

    def raw_transaction(self, tx_hash: bytes) -> bytes | None:
        """Return the signed bytes of a mined transaction, or None."""
        row = (
            self._store.read_connection()
            .execute("SELECT raw FROM transactions WHERE hash = ?", (tx_hash,))
            .fetchone()
        )
        return None if row is None else bytes(row[0])

    def find_receipt(self, tx_hash: bytes) -> RawJson | None:
        """Return the receipt of a mined transaction as JSON, or None."""
        return self._fetch_json("SELECT receipt FROM transactions WHERE hash = ?", tx_hash)

    def block_receipts(self, number: int) -> RawJson:
        """Return the receipts of a block as a JSON array; empty where there are none."""
        rows = self._store.read_connection().execute(
            "SELECT receipt FROM transactions WHERE block = ? ORDER BY position", (number,)
        )
        return RawJson("[" + ",".join(row[0] for row in rows) + "]")

    def transaction_hashes_between(self, low: int, high: int) -> list[bytes]:
        """Return the hashes of the transactions in the blocks ``low..high``, in chain order."""
        rows = self._store.read_connection().execute(
            "SELECT hash FROM transactions WHERE block BETWEEN ? AND ? ORDER BY block, position", (low, high)
        )
        return [row[0] for row in rows]

    def block_tips(self, number: int) -> list[int]:
        """Return the tips paid in a block, lowest first."""
        rows = self._store.read_connection().execute(
            "SELECT tip FROM transactions WHERE block = ? ORDER BY tip", (number,)
        )
        return [row[0] for row in rows]

    def gas_used(self, low: int, high: int) -> list[int]:
        """Return the gas used by each of the blocks ``low..high``, in order."""
        rows = self._store.read_connection().execute(
            "SELECT gas_used FROM blocks WHERE number BETWEEN ? AND ? ORDER BY number", (low, high)
        )
        return [row[0] for row in rows]

    def waiting_transaction(self, tx_hash: bytes) -> bytes | None:
        """Return the raw form of a transaction that waits for an earlier nonce."""
        row = (
            self._store.read_connection()
            .execute("SELECT raw FROM waiting WHERE hash = ?", (tx_hash,))
            .fetchone()
        )
        return None if row is None else bytes(row[0])

    def find_logs(self, wanted: LogFilter, low: int, high: int) -> RawJson:
        """Return the matching logs of the blocks ``low..high`` in chain order."""
        # Values go in as parameters; only column names of our own are put into the text.
        clauses = ["block BETWEEN ? AND ?"]
        values: list[object] = [low, high]
        if wanted.addresses:
            clauses.append(_in_clause("address", wanted.addresses, values))
        for position, topics in enumerate(wanted.topics):
            column = f"topic{position}"
            # "Any topic" still demands that there is one, as the specification says.
            clauses.append(f"{column} IS NOT NULL" if topics is None else _in_clause(column, topics, values))
        rows = self._store.read_connection().execute(
            f"SELECT body FROM logs WHERE {' AND '.join(clauses)} ORDER BY block, position", values
        )
        # Joined as text: large answers are never built as objects.
        return RawJson("[" + ",".join(row[0] for row in rows) + "]")


def _in_clause(column: str, options: frozenset[bytes], values: list[object]) -> str:
    """Return the SQL condition for one of ``options`` and add them to ``values``.

    Sorted, so that equal filters give equal statements and parameters.
    """
    values.extend(sorted(options))
    return f"{column} IN ({','.join('?' * len(options))})"
