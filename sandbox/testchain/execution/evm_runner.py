"""The EVM: Prague rules on a given state root, with the chain id of the RPC in the execution context too.

py-evm's Chain and VM objects are left out: they re-read headers from their own database and forbid two
blocks with one timestamp. What is used are its state, its transaction executor and its receipt rules. Its
address and hash types are NewTypes of bytes that nothing checks; states and transactions are ``Any`` here
to spare the casts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from sandbox.testchain.execution.evm import ExecutionContext, PragueState, PragueVM, computing
from sandbox.testchain.storage.trie_database import TrieDatabase

# Per block, and so the most for one transaction.
GAS_LIMIT = 60_000_000
BASE_FEE = 1
"""Wei per gas; constant, for only a block over half full could raise it and nothing would lower it."""
# The zero address: nobody collects the tips.
COINBASE = bytes(20)


@dataclass(frozen=True, slots=True)
class BlockContext:
    """The facts of its block that a transaction sees."""

    number: int
    timestamp: int
    mix_hash: bytes
    hashes: Callable[[], Iterable[bytes]]
    """Hashes of the blocks below, newest first; asked for only when BLOCKHASH runs."""


@dataclass(frozen=True, slots=True)
class StateView:
    """A state and the block around it, for code to run on."""

    nodes: TrieDatabase
    root: bytes
    around: BlockContext


class EvmRunner:
    """Runs code for one chain id. Stateless, safe from any thread."""

    def __init__(self, chain_id: int) -> None:
        self.chain_id = chain_id

    def open_state(self, view: StateView, base_fee: int = BASE_FEE) -> Any:
        """Return py-evm's state at ``view``. Changes stay in it until it is persisted."""
        # py-evm's constructors want its NewTypes; see the module's docstring.
        context_of: Any = ExecutionContext
        state_of: Any = PragueState
        context = context_of(
            coinbase=COINBASE,
            timestamp=view.around.timestamp,
            block_number=view.around.number,
            difficulty=0,
            mix_hash=view.around.mix_hash,
            gas_limit=GAS_LIMIT,
            # An iterator that reads nothing until BLOCKHASH asks.
            prev_hashes=_lazy_hashes(view.around.hashes),
            chain_id=self.chain_id,
            base_fee_per_gas=base_fee,
            # Blob transactions are not taken, so blob gas never costs more than its minimum.
            excess_blob_gas=0,
        )
        return state_of(view.nodes, context, view.root)

    def run_transaction(self, state: Any, tx: Any) -> tuple[Any, int]:
        """Run a signed transaction alone in its block; return its receipt and the gas it used."""
        # py-evm's checkpoint: storage's "original value", by which SSTORE is priced, is the one before this
        # transaction.
        state.lock_changes()
        with computing():
            computation = state.apply_transaction(tx)
            used = gas_used(tx, computation)
            # The post-Byzantium receipt (EIP-658) has a status where there was a state root.
            status = b"" if computation.is_error else b"\x01"
            return tx.make_receipt(status, used, computation.get_log_entries()), used


def gas_used(tx: Any, computation: Any) -> int:
    """Return the gas a run used, refunds deducted and the floor for data (EIP-7623) applied."""
    return PragueVM.finalize_gas_used(tx, computation)


def _lazy_hashes(hashes: Callable[[], Iterable[bytes]]) -> Iterator[bytes]:
    """Yield the hashes once they are asked for: a generator does not run before."""
    yield from hashes()
