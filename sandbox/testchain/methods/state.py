"""Accounts at any block, calls and gas estimates. Every past state is kept, so every block tag is answered."""

from __future__ import annotations

from collections.abc import Mapping

from sandbox.testchain.encoding import (
    as_address,
    as_bytes,
    as_hash,
    as_quantity,
    data,
    optional_quantity,
    quantity,
    word,
)
from sandbox.testchain.faults import invalid_params, refused
from sandbox.testchain.machine import BASE_FEE, Call, Surroundings
from sandbox.testchain.methods.registry import method
from sandbox.testchain.node import Node


@method("eth_getBalance")
def balance(node: Node, address: object, tag: object = "latest") -> str:
    return quantity(node.ledger.state_at(node.block(tag)).get_balance(as_address(address)))  # type: ignore[arg-type]


@method("eth_getTransactionCount")
def nonce(node: Node, address: object, tag: object = "latest") -> str:
    return quantity(node.ledger.state_at(node.block(tag)).get_nonce(as_address(address)))  # type: ignore[arg-type]


@method("eth_getCode")
def code(node: Node, address: object, tag: object = "latest") -> str:
    return data(node.ledger.state_at(node.block(tag)).get_code(as_address(address)))  # type: ignore[arg-type]


@method("eth_getStorageAt")
def storage(node: Node, address: object, slot: object, tag: object = "latest") -> str:
    place = as_address(address)
    value = node.ledger.state_at(node.block(tag)).get_storage(place, as_quantity(slot, "slot"))  # type: ignore[arg-type]
    return word(value)


@method("eth_call")
def call(node: Node, request: object, tag: object = "latest", overrides: object = None) -> str:
    if overrides:
        raise invalid_params("state overrides are not supported")
    head, around = _where(node, tag)
    return data(node.machine.call(node.ledger.reading(), head, around, read_call(request)))


@method("eth_estimateGas")
def estimate(node: Node, request: object, tag: object = "pending") -> str:
    """By default in the block the transaction would be mined in, which has a later time than ``latest``."""
    head, around = _where(node, tag)
    return quantity(node.machine.estimate(node.ledger.reading(), head, around, read_call(request)))


def _where(node: Node, tag: object) -> tuple[bytes, Surroundings]:
    if tag == "pending":
        return node.ledger.head.state_root, node.ledger.next_surroundings()
    head = node.block(tag)
    return head.state_root, node.ledger.surroundings(head)


def read_call(request: object) -> Call:
    """The transaction object of ``eth_call`` and its kin; a fee under the base fee is refused as geth does."""
    if not isinstance(request, dict):
        raise invalid_params("invalid argument 0: transaction object expected")
    price = optional_quantity(request, "gasPrice", "maxFeePerGas") or 0
    if 0 < price < BASE_FEE:
        raise refused(f"max fee per gas less than block base fee: maxFeePerGas: {price}, baseFee: {BASE_FEE}")
    return Call(
        sender=as_address(request["from"], "from") if request.get("from") else bytes(20),
        to=as_address(request["to"], "to") if request.get("to") else b"",
        data=call_data(request),
        value=optional_quantity(request, "value") or 0,
        gas=optional_quantity(request, "gas", "gasLimit"),
        gas_price=price,
        access_list=access_list(request.get("accessList")),
    )


def call_data(request: Mapping[str, object]) -> bytes:
    """``input``, or its old name ``data``; both only if they agree."""
    given = [as_bytes(request[name], name) for name in ("input", "data") if request.get(name) is not None]
    if len(set(given)) > 1:
        raise invalid_params('both "data" and "input" are set and not equal')
    return given[0] if given else b""


def access_list(value: object) -> tuple[tuple[bytes, tuple[int, ...]], ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise invalid_params("invalid accessList: array expected")
    return tuple(_access(entry) for entry in value)


def _access(entry: object) -> tuple[bytes, tuple[int, ...]]:
    if not isinstance(entry, dict) or not isinstance(entry.get("storageKeys", []), list):
        raise invalid_params("invalid accessList: objects with address and storageKeys expected")
    slots = (int.from_bytes(as_hash(key, "storageKey"), "big") for key in entry.get("storageKeys", []))
    return as_address(entry.get("address"), "accessList.address"), tuple(slots)
