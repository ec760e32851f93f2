"""The parts of a running chain in one object, which a JSON-RPC method gets as its first argument."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field

from c2d_box.errors import StateProblem
from sandbox.testchain.accounts import KeyRing, derive_accounts
from sandbox.testchain.execution.chain_clock import ChainClock
from sandbox.testchain.execution.chain_writer import ChainLedger
from sandbox.testchain.execution.evm_runner import EvmRunner
from sandbox.testchain.json_rpc.encoding import as_hash, as_quantity
from sandbox.testchain.json_rpc.log_filters import FilterRegistry
from sandbox.testchain.json_rpc.rpc_errors import invalid_params, refusal_fault
from sandbox.testchain.settings import ChainNodeSettings
from sandbox.testchain.storage.chain_index import ChainHead, ChainIndex
from sandbox.testchain.storage.chain_store import ChainStore

GENESIS_BALANCE = 10**24
"""Wei of each funded account: 1,000,000 ETH."""
# One block per transaction and no reorganisation: the newest block is safe and final as well.
_LATEST = ("latest", "pending", "safe", "finalized")


@dataclass(frozen=True)
class ChainNode:
    """A running chain."""

    settings: ChainNodeSettings
    store: ChainStore
    ledger: ChainLedger
    machine: EvmRunner
    keys: KeyRing
    filters: FilterRegistry = field(default_factory=FilterRegistry)

    @property
    def index(self) -> ChainIndex:
        return self.ledger.index

    def block_number(self, tag: object) -> int | None:
        """Return the number a tag, number or EIP-1898 object names; None where that block does not exist."""
        if tag is None or (isinstance(tag, str) and tag in _LATEST):
            return self.ledger.head.number
        if tag == "earliest":
            return 0
        if isinstance(tag, dict):
            return self._number_of_object(tag)
        # A number above the head is an answer (null), not an error, as in geth.
        number = as_quantity(tag, "block number")
        return number if number <= self.ledger.head.number else None

    def _number_of_object(self, tag: dict[str, object]) -> int | None:
        """Return the block that an EIP-1898 object names, by hash or number; the hash wins."""
        if tag.get("blockHash") is not None:
            return self.index.number_of(as_hash(tag["blockHash"], "blockHash"))
        if tag.get("blockNumber") is not None:
            return self.block_number(tag["blockNumber"])
        raise invalid_params("invalid block: blockHash or blockNumber expected")

    def resolve_block(self, tag: object) -> ChainHead:
        """Return the block a tag names, or raise geth's ``header not found``."""
        number = self.block_number(tag)
        head = None if number is None else self.index.head_at(number)
        if head is None:
            raise refusal_fault("header not found")
        return head


def open_node(settings: ChainNodeSettings, clock: ChainClock | None = None) -> ChainNode:
    """Open the chain in ``settings.data_dir``, with its first block made if it is new."""
    # Locks the folder: two processes on one file would make two different chains of it.
    store = ChainStore(settings.data_dir)
    machine = EvmRunner(settings.chain_id)
    keys = KeyRing(derive_accounts(settings.mnemonic, settings.accounts))
    ledger = ChainLedger(store, machine, clock or ChainClock())
    identity = _chain_identity(settings, keys)
    # An empty database: this is the first start.
    if ledger.head.number < 0:
        ledger.make_genesis(
            {account.address: GENESIS_BALANCE for account in keys.accounts}, {"identity": identity}
        )
    elif ledger.meta("identity") != identity:
        # Other accounts or another chain id would serve a history that their clients cannot use.
        store.close()
        raise StateProblem(
            "C2D-CHAIN-MISMATCH",
            f"the chain in {settings.data_dir} was made with another chain id, mnemonic or account count",
            "Give the old settings back, or move that folder away to begin a new chain.",
        )
    node = ChainNode(settings, store, ledger, machine, keys)
    # Blocks above the revert are gone; a filter that has read them must read the new ones.
    ledger.add_listener(lambda head, reverted: node.filters.rewind_filters(head.number) if reverted else None)
    return node


def _chain_identity(settings: ChainNodeSettings, keys: KeyRing) -> str:
    """Return a text that is equal for settings that make the same chain.

    The accounts are hashed: the mnemonic itself is not written into the database.
    """
    addresses = hashlib.sha256(b"".join(account.address for account in keys.accounts)).hexdigest()
    return json.dumps({"chainId": settings.chain_id, "accounts": addresses})
