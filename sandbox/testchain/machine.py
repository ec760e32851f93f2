"""The EVM: Prague rules on a given state root, for transactions that count and for calls that do not.

py-evm's Chain and VM objects are left out: they re-read headers from their own database and forbid two blocks with
one timestamp. What is used are its state, its transaction executor and its receipt rules, with the chain id in the
execution context, so that CHAINID and signatures agree with what the RPC says.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from eth.abc import ComputationAPI, StateAPI
from eth.exceptions import Halt, OutOfGas, Revert
from eth.vm.execution_context import ExecutionContext
from eth.vm.forks.prague import PragueVM
from eth.vm.forks.prague.state import PragueState
from eth.vm.forks.prague.transactions import PragueTransactionBuilder
from eth.vm.spoof import SpoofTransaction

from sandbox.testchain.faults import SERVER, RpcFault, refused, reverted
from sandbox.testchain.nodes import Nodes

GAS_LIMIT = 60_000_000
BASE_FEE = 1
"""Wei per gas; constant, since only a block over half full could raise it and nothing would lower it again."""
COINBASE = bytes(20)
MIN_TRANSACTION_GAS = 21_000
_CALL_STIPEND = 2_300
_ESTIMATE_TOLERANCE = 0.015

threading.stack_size(64 * 1024 * 1024)  # address space for 1,024 nested calls, touched only when they happen


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a transaction sees of its block."""

    number: int
    timestamp: int
    mix_hash: bytes
    hashes: Callable[[], Iterable[bytes]]
    """Hashes of the blocks below, newest first; asked for only when BLOCKHASH runs."""


@dataclass(frozen=True, slots=True)
class Call:
    """A message to try out; ``to`` empty creates a contract."""

    sender: bytes
    to: bytes
    data: bytes = b""
    value: int = 0
    gas: int | None = None
    gas_price: int = 0
    access_list: tuple[tuple[bytes, tuple[int, ...]], ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Outcome:
    gas_used: int
    output: bytes
    error: Exception | None


class Machine:
    """Runs code for one chain id. Stateless, safe from any thread."""

    def __init__(self, chain_id: int) -> None:
        self.chain_id = chain_id

    def state(self, nodes: Nodes, root: bytes, around: Surroundings, base_fee: int = BASE_FEE) -> StateAPI:
        context = ExecutionContext(
            coinbase=COINBASE,  # type: ignore[arg-type]
            timestamp=around.timestamp,
            block_number=around.number,  # type: ignore[arg-type]
            difficulty=0,
            mix_hash=around.mix_hash,  # type: ignore[arg-type]
            gas_limit=GAS_LIMIT,
            prev_hashes=_lazily(around.hashes),  # type: ignore[arg-type]
            chain_id=self.chain_id,
            base_fee_per_gas=base_fee,
            excess_blob_gas=0,
        )
        return PragueState(nodes, context, root)  # type: ignore[arg-type]

    def apply(self, state: StateAPI, tx: Any) -> tuple[Any, int]:
        """Run a signed transaction alone in its block: its receipt and the gas it used."""
        state.lock_changes()
        computation = state.apply_transaction(tx)
        gas_used = PragueVM.finalize_gas_used(tx, computation)
        status = b"" if computation.is_error else b"\x01"
        return tx.make_receipt(status, gas_used, computation.get_log_entries()), gas_used

    def call(self, nodes: Nodes, root: bytes, around: Surroundings, call: Call) -> bytes:
        """``eth_call``: the returned bytes, or the fault that geth would answer."""
        gas = min(call.gas or GAS_LIMIT, GAS_LIMIT)
        outcome = self._try(nodes, root, around, call, gas)
        if outcome.error is not None:
            raise fault_of(outcome)
        return outcome.output

    def estimate(self, nodes: Nodes, root: bytes, around: Surroundings, call: Call) -> int:
        """``eth_estimateGas``: enough gas within 1.5 %, searched as geth does."""
        high = self._allowance(nodes, root, around, call)
        if self._is_plain_transfer(nodes, root, around, call):
            return MIN_TRANSACTION_GAS
        outcome = self._try(nodes, root, around, call, high)
        if outcome.error is not None:
            if isinstance(outcome.error, OutOfGas):
                raise refused(f"gas required exceeds allowance ({high})")
            raise fault_of(outcome)
        low = outcome.gas_used - 1
        guess = (outcome.gas_used + _CALL_STIPEND) * 64 // 63
        while low + 1 < high and (high - low) / high > _ESTIMATE_TOLERANCE:
            middle = guess if low < guess < high else min((low + high) // 2, low * 2)
            guess = 0
            if self._try(nodes, root, around, call, middle).error is None:
                high = middle
            else:
                low = middle
        return high

    def _is_plain_transfer(self, nodes: Nodes, root: bytes, around: Surroundings, call: Call) -> bool:
        """To an account without code: always 21,000 gas, which the search would only come near to."""
        if not call.to or call.data or call.access_list:
            return False
        state = self.state(nodes, root, around)
        return (
            not state.get_code(call.to)
            and self._try(nodes, root, around, call, MIN_TRANSACTION_GAS).error is None
        )  # type: ignore[arg-type]

    def _allowance(self, nodes: Nodes, root: bytes, around: Surroundings, call: Call) -> int:
        high = min(call.gas or GAS_LIMIT, GAS_LIMIT) if (call.gas or 0) >= MIN_TRANSACTION_GAS else GAS_LIMIT
        if not call.gas_price:
            return high
        funds = self.state(nodes, root, around).get_balance(call.sender) - call.value  # type: ignore[arg-type]
        if funds < 0:
            raise refused("insufficient funds for transfer")
        return min(high, funds // call.gas_price)

    def _try(self, nodes: Nodes, root: bytes, around: Surroundings, call: Call, gas: int) -> Outcome:
        state = self.state(nodes, root, around, base_fee=0)
        balance = state.get_balance(call.sender)  # type: ignore[arg-type]
        if balance < call.value:
            raise refused(
                "insufficient funds for gas * price + value: "
                f"address 0x{call.sender.hex()} have {balance} want {call.value}"
            )
        message = PragueTransactionBuilder.new_unsigned_dynamic_fee_transaction(
            self.chain_id,
            state.get_nonce(call.sender),  # type: ignore[arg-type]
            0,
            0,
            gas,
            call.to,  # type: ignore[arg-type]
            call.value,
            call.data,
            call.access_list,  # type: ignore[arg-type]
        )
        if gas < message.intrinsic_gas:
            return Outcome(message.intrinsic_gas, b"", OutOfGas("intrinsic gas too low"))
        tx: Any = SpoofTransaction(message, from_=call.sender)
        computation = _with_gas_price(state, tx, call.gas_price)
        return Outcome(PragueVM.finalize_gas_used(tx, computation), computation.output, _error(computation))


def _lazily(hashes: Callable[[], Iterable[bytes]]) -> Iterator[bytes]:
    yield from hashes()


def _with_gas_price(state: StateAPI, tx: Any, gas_price: int) -> ComputationAPI:
    """Run ``tx`` free of charge while GASPRICE shows ``gas_price``."""
    if not gas_price:
        return state.apply_transaction(tx)
    original = state.get_transaction_context
    state.get_transaction_context = lambda _tx: state.get_transaction_context_class()(  # type: ignore[method-assign]
        gas_price=gas_price, origin=tx.sender
    )
    try:
        return state.apply_transaction(tx)
    finally:
        state.get_transaction_context = original  # type: ignore[method-assign]


def _error(computation: ComputationAPI) -> Exception | None:
    return computation.error if computation.is_error else None


def fault_of(outcome: Outcome) -> RpcFault:
    """The fault for a failed execution, in geth's words."""
    error = outcome.error
    if isinstance(error, Revert):
        return reverted(outcome.output)
    if isinstance(error, OutOfGas):
        return refused("out of gas")
    return RpcFault(SERVER, _words(error))


def _words(error: Exception | None) -> str:
    names = {
        "InvalidInstruction": "invalid opcode",
        "InvalidJumpDestination": "invalid jump destination",
        "InsufficientStack": "stack underflow",
        "FullStack": "stack limit reached 1024",
        "WriteProtection": "write protection",
        "StackDepthLimit": "max call depth exceeded",
        "ContractCreationCollision": "contract address collision",
        "InsufficientFunds": "insufficient balance for transfer",
        "OutOfBoundsRead": "return data out of bounds",
    }
    if error is None or isinstance(error, Halt):
        return "execution halted"
    return names.get(type(error).__name__, str(error) or type(error).__name__)
