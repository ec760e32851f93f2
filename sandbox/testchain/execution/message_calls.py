"""Runs messages without a transaction: ``eth_call`` and ``eth_estimateGas``, with the outcomes and words of
geth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sandbox.testchain.execution.evm import (
    OutOfGas,
    PragueTransactionBuilder,
    Revert,
    SpoofTransaction,
    computing,
)
from sandbox.testchain.execution.evm_runner import GAS_LIMIT, EvmRunner, StateView, gas_used
from sandbox.testchain.json_rpc.rpc_errors import RpcFault, refusal_fault, revert_fault

# The base cost of every transaction; a transfer without data costs exactly this.
PLAIN_TRANSFER_GAS = 21_000
# Gas that a call with value hands on for free, which the caller must hold in advance.
_CALL_STIPEND = 2_300
# geth's estimateGasErrorRatio: searching on would cost runs and win little.
_TOLERANCE = 0.015
# Names of py-evm's exceptions and geth's words for them, which clients match on.
_WORDS = {
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


@dataclass(frozen=True, slots=True)
class MessageCall:
    """A message to try out; ``to`` empty creates a contract. Amounts in wei."""

    sender: bytes
    to: bytes
    data: bytes = b""
    value: int = 0
    gas: int | None = None
    gas_price: int = 0
    access_list: tuple[tuple[bytes, tuple[int, ...]], ...] = ()


@dataclass(frozen=True, slots=True)
class CallOutcome:
    """The result of one attempt to run a message."""

    gas_used: int
    output: bytes
    error: Exception | None


def execute_call(machine: EvmRunner, view: StateView, call: MessageCall) -> bytes:
    """Answer ``eth_call``: return the returned bytes, or raise the fault that geth would answer."""
    outcome = _attempt_call(machine, view, call, min(call.gas or GAS_LIMIT, GAS_LIMIT))
    if outcome.error is not None:
        raise _outcome_fault(outcome)
    return outcome.output


def estimate_call_gas(machine: EvmRunner, view: StateView, call: MessageCall) -> int:
    """Answer ``eth_estimateGas``: enough gas, within 1.5 %, by geth's search: a good guess first, then
    halving."""
    high = _gas_allowance(machine, view, call)
    # Known exactly, so no search; after the allowance, which may refuse.
    if _is_plain_transfer(machine, view, call):
        return PLAIN_TRANSFER_GAS
    # With all there is: what fails now fails with any gas.
    outcome = _attempt_call(machine, view, call, high)
    if isinstance(outcome.error, OutOfGas):
        raise refusal_fault(f"gas required exceeds allowance ({high})")
    if outcome.error is not None:
        raise _outcome_fault(outcome)
    low = outcome.gas_used - 1
    # EIP-150: a call hands on at most 63/64 of its gas, so the whole needs a little more than was used.
    guess = (outcome.gas_used + _CALL_STIPEND) * 64 // 63
    while low + 1 < high and (high - low) / high > _TOLERANCE:
        # Most estimates are near the low end; geth's search never goes beyond twice the lower bound.
        middle = guess if low < guess < high else min((low + high) // 2, low * 2)
        guess = 0
        if _attempt_call(machine, view, call, middle).error is None:
            high = middle
        else:
            low = middle
    return high


def _is_plain_transfer(machine: EvmRunner, view: StateView, call: MessageCall) -> bool:
    """Return whether the call only transfers to an account without code: that takes exactly 21,000 gas, which
    the search would only come near to."""
    if not call.to or call.data or call.access_list or machine.open_state(view).get_code(call.to):
        return False
    return _attempt_call(machine, view, call, PLAIN_TRANSFER_GAS).error is None


def _gas_allowance(machine: EvmRunner, view: StateView, call: MessageCall) -> int:
    """Return the most gas the call may use: what it says, what a block holds, what its sender can pay."""
    asked = call.gas if call.gas and call.gas >= PLAIN_TRANSFER_GAS else GAS_LIMIT
    high = min(asked, GAS_LIMIT)
    # Without a price nobody pays, so the balance is no limit.
    if not call.gas_price:
        return high
    funds = machine.open_state(view).get_balance(call.sender) - call.value
    if funds < 0:
        raise refusal_fault("insufficient funds for transfer")
    return int(min(high, funds // call.gas_price))


def _attempt_call(machine: EvmRunner, view: StateView, call: MessageCall, gas: int) -> CallOutcome:
    """Run ``call`` with ``gas``, free of charge, and forget its effects."""
    # Base fee 0: the call is not paid for, and the sender may have nothing.
    state = machine.open_state(view, base_fee=0)
    balance = state.get_balance(call.sender)
    if balance < call.value:
        raise refusal_fault(
            "insufficient funds for gas * price + value: "
            f"address 0x{call.sender.hex()} have {balance} want {call.value}"
        )
    tx = _unsigned_message(machine.chain_id, state.get_nonce(call.sender), call, gas)
    # py-evm raises here; in the search it is one more attempt that was too low.
    if gas < tx.intrinsic_gas:
        return CallOutcome(tx.intrinsic_gas, b"", OutOfGas("intrinsic gas too low"))
    if call.gas_price:
        context = state.get_transaction_context_class()(gas_price=call.gas_price, origin=call.sender)
        state.get_transaction_context = lambda _tx: context  # GASPRICE shows it, nobody pays it
    with computing():
        computation = state.apply_transaction(tx)
        error = computation.error if computation.is_error else None
        return CallOutcome(gas_used(tx, computation), bytes(computation.output), error)


def _unsigned_message(chain_id: int, nonce: int, call: MessageCall, gas: int) -> Any:
    """Return the message as a transaction that py-evm runs without a signature, from any sender."""
    build: Any = PragueTransactionBuilder.new_unsigned_dynamic_fee_transaction
    message = build(chain_id, nonce, 0, 0, gas, call.to, call.value, call.data, call.access_list)
    return SpoofTransaction(message, from_=call.sender)


def _outcome_fault(outcome: CallOutcome) -> RpcFault:
    """Return the fault that geth answers for this outcome: a revert with its data, else its words."""
    error = outcome.error
    if isinstance(error, Revert):
        return revert_fault(outcome.output)
    if isinstance(error, OutOfGas):
        return refusal_fault("out of gas")
    name = type(error).__name__
    return refusal_fault(_WORDS.get(name, str(error) or name))
