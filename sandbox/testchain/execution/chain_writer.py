"""The one writer: takes transactions, makes blocks, keeps the head.

Every public method runs on the ledger's own thread, one after the other; the server sees to that. A block
with its state, rows and the clock is committed before its transaction is acknowledged, so what was
acknowledged survives any kill. A transaction ahead of its sender's nonce waits (and is kept) until the gap
closes, as in geth's pool.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

from eth_hash.auto import keccak
from lru import LRU

from sandbox.testchain.execution import block_building, tx_admission
from sandbox.testchain.execution.block_building import ExecutedTransaction
from sandbox.testchain.execution.chain_clock import ChainClock
from sandbox.testchain.execution.evm_runner import BlockContext, EvmRunner, StateView
from sandbox.testchain.json_rpc.rpc_errors import RpcFault, refusal_fault
from sandbox.testchain.storage import chain_index
from sandbox.testchain.storage.chain_index import ChainHead, ChainIndex
from sandbox.testchain.storage.chain_store import ChainStore
from sandbox.testchain.storage.trie_database import CACHED_NODES, TrieDatabase

MAX_WAITING = 64
"""Transactions of one sender that may wait for an earlier nonce."""
# The BLOCKHASH opcode sees 256 blocks back.
_HASH_DEPTH = 256
Listener = Callable[[ChainHead, bool], None]


class ChainLedger:
    """The chain's only writer. ``head`` may be read from any thread; it changes only after the commit."""

    def __init__(self, store: ChainStore, machine: EvmRunner, clock: ChainClock) -> None:
        self._store = store
        self._machine = machine
        # Shared by all readers; it holds committed nodes only.
        self._cache: LRU[bytes, bytes] = LRU(CACHED_NODES)
        self._nodes = TrieDatabase(store, self._cache)
        self._listeners: list[Listener] = []
        self.clock = clock
        self.index = ChainIndex(store)
        # Number -1: an empty database, until make_genesis.
        self.head = self.index.newest_head() or ChainHead(-1, bytes(32), 0, bytes(32))
        # Time that a test has moved stays moved after a restart.
        saved = self.meta("clock")
        if saved is not None:
            clock.restore_text(saved)

    def add_listener(self, listener: Listener) -> None:
        """Call ``listener(head, reverted)`` on this thread after every change of the head."""
        self._listeners.append(listener)

    # -- reading, from any thread --

    def view_at(self, head: ChainHead) -> StateView:
        """Return the view for calls *at* ``head``, which see that block's own number and time."""
        # None is below the first block: it was made on a hash of zeros.
        parent_hash = next(iter(self.index.hashes_below(head.number, 1)), bytes(32))
        mix_hash = _block_randomness(parent_hash, head.number)
        around = BlockContext(head.number, head.timestamp, mix_hash, self._hashes_below(head.number))
        return StateView(self._reading_database(), head.state_root, around)

    def next_view(self) -> StateView:
        """Return the view for calls as in the block that a transaction sent now would get."""
        return StateView(self._reading_database(), self.head.state_root, self.next_block_context())

    def _reading_database(self) -> TrieDatabase:
        """Return the state database for one call: nothing of what it writes is flushed."""
        return TrieDatabase(self._store, self._cache)

    def next_block_context(self) -> BlockContext:
        """Return what a transaction sent now would see of its block."""
        head = self.head
        return BlockContext(
            head.number + 1,
            self.clock.next_timestamp(head.timestamp),
            _block_randomness(head.hash, head.number + 1),
            self._hashes_below(head.number + 1),
        )

    def state_at(self, head: ChainHead) -> Any:
        """Return the state after ``head``, for reading accounts."""
        return self._machine.open_state(self.view_at(head))

    def meta(self, name: str) -> str | None:
        """Return a value that was stored beside the blocks, or None."""
        row = (
            self._store.read_connection().execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        )
        return None if row is None else str(row[0])

    # -- transactions --

    def submit_transaction(self, raw: bytes) -> bytes:
        """Take a signed transaction: mined now, or kept while an earlier nonce is missing. Returns its
        hash.
        """
        # First all that needs no state; nonce and funds are compared with the state of the next block.
        tx = tx_admission.decode_transaction(raw, self._machine.chain_id)
        if (
            self.index.raw_transaction(tx.hash) is not None
            or self.index.waiting_transaction(tx.hash) is not None
        ):
            raise refusal_fault("already known")
        tx_admission.check_form(tx)
        state, around = self._open_state()
        expected = state.get_nonce(tx.sender)
        # Here because it needs the state, yet before the funds, as in geth.
        if tx.nonce < expected:
            raise tx_admission.nonce_too_low(expected, tx.nonce)
        if tx.nonce > expected:
            self._keep_waiting(tx, raw)
        else:
            tx_admission.check_funds(tx, state)
            self._mine_transaction(state, around, tx, raw)
            self._mine_waiting(tx.sender)
        return bytes(tx.hash)

    def _keep_waiting(self, tx: Any, raw: bytes) -> None:
        """Keep a transaction until the nonces before it are used; it survives a restart.

        One of the same nonce replaces the earlier one, without the price bump that geth's pool demands.
        """
        with self._store.write_transaction() as db:
            others = "SELECT count(*) FROM waiting WHERE sender = ? AND nonce != ?"
            # Bounded per sender: the database must not be filled with what can never be mined.
            if db.execute(others, (tx.sender, tx.nonce)).fetchone()[0] >= MAX_WAITING:
                raise refusal_fault(f"nonce too high: {MAX_WAITING} transactions of this sender wait already")
            db.execute(
                "INSERT OR REPLACE INTO waiting VALUES (?, ?, ?, ?)", (tx.hash, tx.sender, tx.nonce, raw)
            )

    def _mine_waiting(self, sender: bytes) -> None:
        """Mine what was waiting for the nonce just used; drop what has become impossible."""
        while True:
            # Opened anew for each: the block just made has changed state and time.
            state, around = self._open_state()
            nonce = state.get_nonce(sender)
            row = self._store.read_connection().execute(
                "SELECT raw FROM waiting WHERE sender = ? AND nonce = ?", (sender, nonce)
            )
            found = row.fetchone()
            if found is None:
                return
            tx = tx_admission.decode_transaction(found[0], self._machine.chain_id)
            try:
                tx_admission.check_funds(tx, state)
            except RpcFault:
                # The money was spent by an earlier one; those behind it wait for this nonce again.
                self._forget_waiting(tx)
                return
            self._mine_transaction(state, around, tx, found[0])

    def _forget_waiting(self, tx: Any) -> None:
        with self._store.write_transaction() as db:
            db.execute("DELETE FROM waiting WHERE hash = ?", (tx.hash,))

    # -- blocks --

    def make_genesis(self, balances: dict[bytes, int], meta: dict[str, str]) -> None:
        """Make block 0 with these balances in wei."""
        around = self.next_block_context()
        # No transaction could give the first money; the balances are written into the state.
        state = self._machine.open_state(StateView(self._nodes, _EMPTY_ROOT, around))
        for address, balance in balances.items():
            state.set_balance(address, balance)
        self._commit_block(state, around, meta=meta)

    def mine_block(self) -> ChainHead:
        """Mine an empty block; return the new head."""
        state, around = self._open_state()
        self._commit_block(state, around)
        return self.head

    def set_balance(self, address: bytes, balance: int) -> None:
        """Give ``address`` exactly ``balance`` wei, in a block of its own (a test chain's privilege)."""
        state, around = self._open_state()
        state.set_balance(address, balance)
        self._commit_block(state, around)

    def _open_state(self) -> tuple[Any, BlockContext]:
        """Return the state that the next block starts from, and that block's context."""
        around = self.next_block_context()
        return self._machine.open_state(StateView(self._nodes, self.head.state_root, around)), around

    def _mine_transaction(self, state: Any, around: BlockContext, tx: Any, raw: bytes) -> None:
        """Run the transaction in a block of its own. A revert is mined too, with status 0."""
        receipt, gas_used = self._machine.run_transaction(state, tx)
        self._commit_block(state, around, ExecutedTransaction(tx, raw, receipt, gas_used))

    def _commit_block(
        self,
        state: Any,
        around: BlockContext,
        done: ExecutedTransaction | None = None,
        meta: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Make the block and everything it changed durable, in one transaction."""
        self._nodes.discard_pending()  # what an earlier failure may have left
        # Writes the trie's nodes into the overlay, not yet into the file.
        state.persist()
        built = block_building.build_block(
            self._machine.chain_id, self.head.hash, around, state.state_root, done
        )
        # Before the transaction: the clock is stored together with the block.
        clock_before = self.clock.to_text()
        self.clock.note_block(built.block.timestamp)
        try:
            # Nodes, rows, clock and pool in one commit: after a kill all of it is there or nothing.
            with self._store.write_transaction() as db:
                self._nodes.flush_pending(db)
                chain_index.insert_block(db, built.block, built.transactions, built.logs)
                for name, value in {**meta, "clock": self.clock.to_text()}.items():
                    db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))
                if done:
                    place = (done.tx.sender, done.tx.nonce)
                    db.execute("DELETE FROM waiting WHERE sender = ? AND nonce = ?", place)
        except BaseException:
            # No block was made: a time that was set is still that of the next one.
            self.clock.restore_text(clock_before)
            raise
        # Readers may see the new nodes only now that they cannot be rolled back.
        self._nodes.share_pending()
        self._move_head(built.head, reverted=False)

    # -- time travel --

    def save_clock(self) -> None:
        """Store the clock by itself: time may be moved without making a block."""
        with self._store.write_transaction() as db:
            db.execute("INSERT OR REPLACE INTO meta VALUES ('clock', ?)", (self.clock.to_text(),))

    def write_meta(self, name: str, value: str) -> None:
        """Store a value beside the blocks; it survives a kill once this has returned."""
        with self._store.write_transaction() as db:
            db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))

    def take_snapshot(self) -> int:
        """Remember head, clock and waiting transactions; returns the snapshot's number."""
        with self._store.write_transaction() as db:
            # Transactions and not rows: the schema may change, signed bytes do not.
            waiting = [raw.hex() for (raw,) in db.execute("SELECT raw FROM waiting")]
            cursor = db.execute(
                "INSERT INTO snapshots (block, clock, waiting) VALUES (?, ?, ?)",
                (self.head.number, self.clock.to_text(), json.dumps(waiting)),
            )
            return int(cursor.lastrowid or 0)

    def revert_to(self, snapshot: int) -> bool:
        """Go back to ``snapshot``, which is used up with all later ones. False where there is none."""
        with self._store.write_transaction() as db:
            row = db.execute(
                "SELECT block, clock, waiting FROM snapshots WHERE id = ?", (snapshot,)
            ).fetchone()
            if row is None:
                return False
            # Trie nodes stay: they are addressed by hash, and the old root still leads to its own.
            chain_index.truncate_blocks(db, row[0])
            db.execute("DELETE FROM snapshots WHERE id >= ?", (snapshot,))
            db.execute("DELETE FROM waiting")
            for raw in map(bytes.fromhex, json.loads(row[2])):
                tx = tx_admission.decode_transaction(raw, self._machine.chain_id)
                db.execute("INSERT INTO waiting VALUES (?, ?, ?, ?)", (tx.hash, tx.sender, tx.nonce, raw))
            db.execute("INSERT OR REPLACE INTO meta VALUES ('clock', ?)", (row[1],))
        # After the commit, so that memory and file agree if it fails.
        self.clock.restore_text(row[1])
        head = self.index.newest_head()
        assert head is not None
        self._move_head(head, reverted=True)
        return True

    def _move_head(self, head: ChainHead, reverted: bool) -> None:
        """Publish the new head, then tell the listeners. The assignment is atomic, so readers need no
        lock."""
        self.head = head
        for listener in self._listeners:
            listener(head, reverted)

    def _hashes_below(self, number: int) -> Callable[[], Iterable[bytes]]:
        """Return the function that reads earlier hashes. Most code never asks, so nothing is read in
        advance."""
        return lambda: self.index.hashes_below(number, _HASH_DEPTH)


# The root of an empty trie: the keccak of an empty RLP string.
_EMPTY_ROOT = keccak(b"\x80")


def _block_randomness(parent_hash: bytes, number: int) -> bytes:
    """Return PREVRANDAO: fixed for a block, different for each."""
    return keccak(parent_hash + number.to_bytes(8, "big", signed=True))
