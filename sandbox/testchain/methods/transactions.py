"""Transactions: found, sent raw, or signed here with a key the node holds."""

from __future__ import annotations

import json
from typing import Any

from eth.vm.forks.prague.transactions import PragueTransactionBuilder
from eth_keys import keys

from sandbox.testchain import admission, rendering
from sandbox.testchain.accounts import Account
from sandbox.testchain.encoding import as_address, as_bytes, as_hash, as_quantity, data, optional_quantity
from sandbox.testchain.faults import invalid_params, refused
from sandbox.testchain.index import RawJson
from sandbox.testchain.machine import BASE_FEE
from sandbox.testchain.methods.registry import Lane, method
from sandbox.testchain.methods.state import access_list, call_data, read_call
from sandbox.testchain.node import Node


@method("eth_getTransactionByHash")
def by_hash(node: Node, tx_hash: object) -> Any:
    wanted = as_hash(tx_hash)
    mined = node.index.transaction(wanted)
    if mined is not None:
        return mined
    raw = node.index.waiting(wanted)
    return None if raw is None else _pending(node, raw)


@method("eth_getRawTransactionByHash")
def raw_by_hash(node: Node, tx_hash: object) -> str | None:
    raw = node.index.raw_transaction(as_hash(tx_hash))
    return None if raw is None else data(raw)


@method("eth_getTransactionReceipt")
def receipt(node: Node, tx_hash: object) -> RawJson | None:
    return node.index.receipt(as_hash(tx_hash))


@method("eth_getTransactionByBlockNumberAndIndex")
def by_number_and_index(node: Node, tag: object, position: object) -> RawJson | None:
    number = node.block_number(tag)
    return None if number is None else node.index.transaction_at(number, as_quantity(position, "index"))


@method("eth_getTransactionByBlockHashAndIndex")
def by_block_hash_and_index(node: Node, block_hash: object, position: object) -> RawJson | None:
    number = node.index.number_of(as_hash(block_hash))
    return None if number is None else node.index.transaction_at(number, as_quantity(position, "index"))


@method("eth_sendRawTransaction", lane=Lane.WRITE)
def send_raw(node: Node, raw: object) -> str:
    return data(node.ledger.submit(as_bytes(raw, "transaction")))


@method("eth_sendTransaction", lane=Lane.WRITE)
def send(node: Node, request: object) -> str:
    return data(node.ledger.submit(admission.encoded(_signed(node, request))))


@method("eth_signTransaction")
def sign(node: Node, request: object) -> dict[str, Any]:
    tx = _signed(node, request)
    return {"raw": data(admission.encoded(tx)), "tx": _body(node, tx)}


@method("eth_fillTransaction")
def fill(node: Node, request: object) -> dict[str, Any]:
    return sign(node, request)


def _pending(node: Node, raw: bytes) -> RawJson:
    return RawJson(json.dumps(_body(node, admission.decode(raw, node.settings.chain_id))))


def _body(node: Node, tx: Any) -> dict[str, Any]:
    return rendering.transaction_json(tx, node.settings.chain_id, BASE_FEE)


def _signed(node: Node, request: object) -> Any:
    """The transaction ``request`` describes, its gaps filled (nonce, gas, fees), signed by its sender's key."""
    if not isinstance(request, dict):
        raise invalid_params("invalid argument 0: transaction object expected")
    account = account_of(node, request.get("from"))
    _check_chain(node, request)
    if request.get("gasPrice") is not None and request.get("maxFeePerGas") is not None:
        raise invalid_params("both gasPrice and (maxFeePerGas or maxPriorityFeePerGas) specified")
    fields = {
        "nonce": _nonce(node, request, account),
        "gas": _gas(node, request),
        "to": as_address(request["to"], "to") if request.get("to") else b"",
        "value": optional_quantity(request, "value") or 0,
        "data": call_data(request),
    }
    key = keys.PrivateKey(account.key)
    if request.get("gasPrice") is not None and not request.get("accessList"):
        legacy: Any = PragueTransactionBuilder.create_unsigned_transaction(
            **fields, gas_price=as_quantity(request["gasPrice"], "gasPrice")
        )
        return legacy.as_signed_transaction(key, chain_id=node.settings.chain_id)
    unsigned: Any
    if request.get("gasPrice") is not None:
        unsigned = PragueTransactionBuilder.new_unsigned_access_list_transaction(
            chain_id=node.settings.chain_id,
            gas_price=as_quantity(request["gasPrice"], "gasPrice"),
            access_list=access_list(request.get("accessList")),
            **fields,
        )
    else:
        tip = optional_quantity(request, "maxPriorityFeePerGas") or 0
        unsigned = PragueTransactionBuilder.new_unsigned_dynamic_fee_transaction(
            chain_id=node.settings.chain_id,
            max_priority_fee_per_gas=tip,
            max_fee_per_gas=optional_quantity(request, "maxFeePerGas") or 2 * BASE_FEE + tip,
            access_list=access_list(request.get("accessList")),
            **fields,
        )
    inner = unsigned.as_signed_transaction(key)
    return PragueTransactionBuilder.decode(inner.encode())


def account_of(node: Node, address: object) -> Account:
    account = node.keys.get(as_address(address, "from"))
    if account is None:
        raise refused("unknown account")
    return account


def _check_chain(node: Node, request: dict[str, object]) -> None:
    given = optional_quantity(request, "chainId")
    if given is not None and given != node.settings.chain_id:
        raise refused(f"chainId does not match node's (have={given}, want={node.settings.chain_id})")


def _nonce(node: Node, request: dict[str, object], account: Account) -> int:
    given = optional_quantity(request, "nonce")
    if given is not None:
        return given
    return int(node.ledger.state_at(node.ledger.head).get_nonce(account.address))  # type: ignore[arg-type]


def _gas(node: Node, request: dict[str, object]) -> int:
    given = optional_quantity(request, "gas", "gasLimit")
    if given is not None:
        return given
    ledger = node.ledger
    return node.machine.estimate(
        ledger.reading(), ledger.head.state_root, ledger.next_surroundings(), read_call(request)
    )
