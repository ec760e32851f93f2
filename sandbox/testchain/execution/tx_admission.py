"""Checks which raw transactions the node takes: decoded, held against the sender's account, refused in geth's
words.

py-evm checks most of this too, but in its own words and by raising the same exception for everything.
"""

from __future__ import annotations

from typing import Any

from eth_utils.exceptions import ValidationError

from sandbox.testchain.execution.evm import PragueTransactionBuilder
from sandbox.testchain.execution.evm_runner import BASE_FEE, GAS_LIMIT
from sandbox.testchain.json_rpc.rpc_errors import RpcFault, invalid_params, refusal_fault

# EIP-3860: twice the largest contract (EIP-170).
_MAX_INITCODE = 49_152
# EIP-7623: a zero byte is one token, any other byte four.
_FLOOR_PER_TOKEN = 10
# Legacy, access list (EIP-2930), dynamic fee (EIP-1559); no blobs, no set-code.
_TYPES = (0, 1, 2)


def decode_transaction(raw: bytes, chain_id: int) -> Any:
    """Decode the signed transaction in ``raw``: legacy, EIP-2930 or EIP-1559, of this chain."""
    if not raw:
        raise invalid_params("empty transaction")
    # EIP-2718: below 0x80 the first byte is a type, above 0xbf a legacy list.
    if raw[0] < 0x80 and raw[0] not in _TYPES[1:]:
        raise refusal_fault("transaction type not supported")
    try:
        tx: Any = PragueTransactionBuilder.decode(raw)
        # Recovered here, so that a wrong signature fails inside the try.
        sender = tx.sender
    except Exception as error:  # rlp, signature and field errors of four libraries
        raise refusal_fault(f"invalid transaction: {error}") from error
    # None: signed in the form before EIP-155, which is valid on every chain.
    signed_for = tx.chain_id
    if signed_for is not None and signed_for != chain_id:
        raise refusal_fault(f"invalid chain id for signer: have {signed_for} want {chain_id}")
    assert len(sender) == 20
    return tx


def check_form(tx: Any) -> None:
    """Check the rules that do not depend on any account."""
    if tx.gas > GAS_LIMIT:
        raise refusal_fault("exceeds block gas limit")
    if tx.max_priority_fee_per_gas > tx.max_fee_per_gas:
        raise refusal_fault(
            "max priority fee per gas higher than max fee per gas: "
            f"address 0x{tx.sender.hex()}, maxPriorityFeePerGas: {tx.max_priority_fee_per_gas}, "
            f"maxFeePerGas: {tx.max_fee_per_gas}"
        )
    if tx.max_fee_per_gas < BASE_FEE:
        raise refusal_fault(
            "max fee per gas less than block base fee: "
            f"address 0x{tx.sender.hex()}, maxFeePerGas: {tx.max_fee_per_gas}, baseFee: {BASE_FEE}"
        )
    if not tx.to and len(tx.data) > _MAX_INITCODE:
        raise refusal_fault(f"max initcode size exceeded: code size {len(tx.data)} limit {_MAX_INITCODE}")
    _check_gas(tx)
    # Whatever py-evm checks beyond that: field sizes and the signature's range.
    try:
        tx.validate()
    except ValidationError as error:
        raise refusal_fault(f"invalid transaction: {error}") from error


def _check_gas(tx: Any) -> None:
    """Refuse a gas limit below what the transaction costs before any code runs.

    Two bounds since Prague: the intrinsic cost, and the floor for transactions that are mostly data.
    """
    intrinsic = tx.intrinsic_gas
    if tx.gas < intrinsic:
        raise refusal_fault(f"intrinsic gas too low: gas {tx.gas}, minimum needed {intrinsic}")
    zeros = tx.data.count(0)
    floor = 21_000 + _FLOOR_PER_TOKEN * (zeros + 4 * (len(tx.data) - zeros))
    if tx.gas < floor:
        raise refusal_fault(f"insufficient gas for floor data gas cost: gas {tx.gas}, minimum needed {floor}")


def check_funds(tx: Any, state: Any) -> None:
    """Refuse a sender who cannot pay for all of its gas at its highest price, and the value.

    The base fee may be lower than the highest price; the protocol demands the whole all the same.
    """
    balance = state.get_balance(tx.sender)
    cost = tx.gas * tx.max_fee_per_gas + tx.value
    if balance < cost:
        raise refusal_fault(
            "insufficient funds for gas * price + value: "
            f"balance {balance}, tx cost {cost}, overshot {cost - balance}"
        )


def nonce_too_low(expected: int, given: int) -> RpcFault:
    """Return the refusal of a used nonce, in the words that clients take for "send it again"."""
    return refusal_fault(f"nonce too low: next nonce {expected}, tx nonce {given}")


def encode_transaction(tx: Any) -> bytes:
    """Return the canonical bytes of a signed transaction (EIP-2718 envelope or legacy RLP)."""
    return bytes(tx.encode())
