"""The parts of a running chain in one object, which a JSON-RPC method gets as its first argument."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field

from c2d_box.errors import StateProblem
from sandbox.testchain.accounts import KeyRing, derive
from sandbox.testchain.clock import Clock
from sandbox.testchain.encoding import as_hash, as_quantity
from sandbox.testchain.faults import invalid_params, refused
from sandbox.testchain.filters import Filters
from sandbox.testchain.index import Head, Index
from sandbox.testchain.ledger import Ledger
from sandbox.testchain.machine import Machine
from sandbox.testchain.settings import Settings
from sandbox.testchain.store import Store

GENESIS_BALANCE = 10**24
"""Wei of each funded account: 1,000,000 ETH."""
_LATEST = ("latest", "pending", "safe", "finalized")


@dataclass(frozen=True)
class Node:
    """A running chain."""

    settings: Settings
    store: Store
    ledger: Ledger
    machine: Machine
    keys: KeyRing
    filters: Filters = field(default_factory=Filters)

    @property
    def index(self) -> Index:
        return self.ledger.index

    def block_number(self, tag: object) -> int | None:
        """Return the number a tag, number or EIP-1898 object names; None where that block does not exist."""
        if tag is None or (isinstance(tag, str) and tag in _LATEST):
            return self.ledger.head.number
        if tag == "earliest":
            return 0
        if isinstance(tag, dict):
            return self._by_object(tag)
        number = as_quantity(tag, "block number")
        return number if number <= self.ledger.head.number else None

    def _by_object(self, tag: dict[str, object]) -> int | None:
        if tag.get("blockHash") is not None:
            return self.index.number_of(as_hash(tag["blockHash"], "blockHash"))
        if tag.get("blockNumber") is not None:
            return self.block_number(tag["blockNumber"])
        raise invalid_params("invalid block: blockHash or blockNumber expected")

    def block(self, tag: object) -> Head:
        """Return the block a tag names, or raise geth's ``header not found``."""
        number = self.block_number(tag)
        head = None if number is None else self.index.at(number)
        if head is None:
            raise refused("header not found")
        return head


def open_node(settings: Settings, clock: Clock | None = None) -> Node:
    """Open the chain in ``settings.data_dir``, with its first block made if it is new."""
    store = Store(settings.data_dir)
    machine = Machine(settings.chain_id)
    keys = KeyRing(derive(settings.mnemonic, settings.accounts))
    ledger = Ledger(store, machine, clock or Clock())
    identity = _identity(settings, keys)
    if ledger.head.number < 0:
        ledger.genesis(
            {account.address: GENESIS_BALANCE for account in keys.accounts}, {"identity": identity}
        )
    elif ledger.meta("identity") != identity:
        store.close()
        raise StateProblem(
            "C2D-CHAIN-MISMATCH",
            f"the chain in {settings.data_dir} was made with another chain id, mnemonic or account count",
            "Give the old settings back, or move that folder away to begin a new chain.",
        )
    node = Node(settings, store, ledger, machine, keys)
    ledger.listen(lambda head, reverted: node.filters.rewind(head.number) if reverted else None)
    return node


def _identity(settings: Settings, keys: KeyRing) -> str:
    addresses = hashlib.sha256(b"".join(account.address for account in keys.accounts)).hexdigest()
    return json.dumps({"chainId": settings.chain_id, "accounts": addresses})
