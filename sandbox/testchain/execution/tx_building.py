"""Makes a :class:`MessageCall` to try, or a transaction signed by us, from a caller's transaction object."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eth_keys.datatypes import PrivateKey

from sandbox.testchain.accounts import ChainAccount
from sandbox.testchain.execution.evm import PragueTransactionBuilder
from sandbox.testchain.execution.evm_runner import BASE_FEE
from sandbox.testchain.execution.message_calls import MessageCall, estimate_call_gas
from sandbox.testchain.json_rpc.encoding import as_address, as_bytes, as_hash, optional_quantity
from sandbox.testchain.json_rpc.rpc_errors import invalid_params, refusal_fault
from sandbox.testchain.node import ChainNode


def read_call(request: object) -> MessageCall:
    """Read the transaction object of ``eth_call`` and its kin; a fee under the base fee is refused as by
    geth."""
    if not isinstance(request, dict):
        raise invalid_params("invalid argument 0: transaction object expected")
    price = optional_quantity(request, "gasPrice", "maxFeePerGas") or 0
    if 0 < price < BASE_FEE:
        raise refusal_fault(
            f"max fee per gas less than block base fee: maxFeePerGas: {price}, baseFee: {BASE_FEE}"
        )
    return MessageCall(
        # As in geth: a call without sender comes from the zero address.
        sender=as_address(request["from"], "from") if request.get("from") else bytes(20),
        to=as_address(request["to"], "to") if request.get("to") else b"",
        data=call_data(request),
        value=optional_quantity(request, "value") or 0,
        gas=optional_quantity(request, "gas", "gasLimit"),
        gas_price=price,
        access_list=read_access_list(request.get("accessList")),
    )


def call_data(request: Mapping[str, object]) -> bytes:
    """Return ``input``, or its old name ``data``; both may be there only if they agree."""
    given = [as_bytes(request[name], name) for name in ("input", "data") if request.get(name) is not None]
    # Old libraries send both fields; which of two different ones was meant cannot be known.
    if len(set(given)) > 1:
        raise invalid_params('both "data" and "input" are set and not equal')
    return given[0] if given else b""


def read_access_list(value: object) -> tuple[tuple[bytes, tuple[int, ...]], ...]:
    """Read an EIP-2930 access list: addresses, each with the storage slots that it warms up."""
    if value is None:
        return ()
    if not isinstance(value, list):
        raise invalid_params("invalid accessList: array expected")
    return tuple(_access_entry(entry) for entry in value)


def _access_entry(entry: object) -> tuple[bytes, tuple[int, ...]]:
    """Read one entry of an access list; slots become the integers that py-evm takes."""
    if not isinstance(entry, dict) or not isinstance(entry.get("storageKeys", []), list):
        raise invalid_params("invalid accessList: objects with address and storageKeys expected")
    slots = (int.from_bytes(as_hash(key, "storageKey"), "big") for key in entry.get("storageKeys", []))
    return as_address(entry.get("address"), "accessList.address"), tuple(slots)


def account_of(node: ChainNode, address: object) -> ChainAccount:
    """Return the account of ``address``, with its key; only the mnemonic's accounts are held."""
    account = node.keys.find_account(as_address(address, "from"))
    if account is None:
        raise refusal_fault("unknown account")
    return account


def signed_transaction(node: ChainNode, request: object) -> Any:
    """Return the transaction ``request`` describes, gaps filled (nonce, gas, fees), signed by its sender's
    key."""
    if not isinstance(request, dict):
        raise invalid_params("invalid argument 0: transaction object expected")
    # Before anything is estimated: without the key nothing else matters.
    account = account_of(node, request.get("from"))
    # A wallet on another network must not have its transaction signed for this one.
    _check_chain(node, request)
    if request.get("gasPrice") is not None and request.get("maxFeePerGas") is not None:
        raise invalid_params("both gasPrice and (maxFeePerGas or maxPriorityFeePerGas) specified")
    fields = {
        "nonce": _fill_nonce(node, request, account),
        "gas": _fill_gas(node, request),
        "to": as_address(request["to"], "to") if request.get("to") else b"",
        "value": optional_quantity(request, "value") or 0,
        "data": call_data(request),
    }
    unsigned = _unsigned_transaction(request, fields, node.settings.chain_id)
    return unsigned.as_signed_transaction(PrivateKey(account.key), chain_id=node.settings.chain_id)


def _unsigned_transaction(request: Mapping[str, object], fields: dict[str, object], chain_id: int) -> Any:
    """Build a legacy transaction with a gas price, EIP-2930 if that comes with an access list,
    else EIP-1559."""
    # The type follows from the fields, as in geth's TransactionArgs.
    build: Any = PragueTransactionBuilder
    price = optional_quantity(request, "gasPrice")
    listed = read_access_list(request.get("accessList"))
    if price is not None and not listed:
        return build.create_unsigned_transaction(**fields, gas_price=price)
    if price is not None:
        return build.new_unsigned_access_list_transaction(
            chain_id=chain_id, gas_price=price, access_list=listed, **fields
        )
    tip = optional_quantity(request, "maxPriorityFeePerGas") or 0
    most = optional_quantity(request, "maxFeePerGas")
    return build.new_unsigned_dynamic_fee_transaction(
        chain_id=chain_id,
        max_priority_fee_per_gas=tip,
        # geth's default: twice the base fee and the tip.
        max_fee_per_gas=2 * BASE_FEE + tip if most is None else most,
        access_list=listed,
        **fields,
    )


def _check_chain(node: ChainNode, request: Mapping[str, object]) -> None:
    """Refuse a transaction object that names another chain."""
    given = optional_quantity(request, "chainId")
    if given is not None and given != node.settings.chain_id:
        raise refusal_fault(f"chainId does not match node's (have={given}, want={node.settings.chain_id})")


def _fill_nonce(node: ChainNode, request: Mapping[str, object], account: ChainAccount) -> int:
    """Return the given nonce, or the sender's next one; transactions that wait for a gap do not count."""
    given = optional_quantity(request, "nonce")
    return int(node.ledger.state_at(node.ledger.head).get_nonce(account.address)) if given is None else given


def _fill_gas(node: ChainNode, request: Mapping[str, object]) -> int:
    """Return the given gas limit, or an estimate in the block that the transaction would get."""
    given = optional_quantity(request, "gas", "gasLimit")
    return (
        estimate_call_gas(node.machine, node.ledger.next_view(), read_call(request))
        if given is None
        else given
    )
