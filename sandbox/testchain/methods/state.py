"""Accounts at any block, calls and gas estimates. Every past state is kept, so every tag is answered."""

from __future__ import annotations

from sandbox.testchain.calls import estimate, execute
from sandbox.testchain.drafting import read_call
from sandbox.testchain.encoding import (
    as_address,
    as_quantity,
    data,
    quantity,
    word,
)
from sandbox.testchain.faults import invalid_params
from sandbox.testchain.machine import View
from sandbox.testchain.methods.registry import method
from sandbox.testchain.node import Node


@method("eth_getBalance")
def balance(node: Node, address: object, tag: object = "latest") -> str:
    return quantity(node.ledger.state_at(node.block(tag)).get_balance(as_address(address)))


@method("eth_getTransactionCount")
def nonce(node: Node, address: object, tag: object = "latest") -> str:
    return quantity(node.ledger.state_at(node.block(tag)).get_nonce(as_address(address)))


@method("eth_getCode")
def code(node: Node, address: object, tag: object = "latest") -> str:
    return data(node.ledger.state_at(node.block(tag)).get_code(as_address(address)))


@method("eth_getStorageAt")
def storage(node: Node, address: object, slot: object, tag: object = "latest") -> str:
    place = as_address(address)
    value = node.ledger.state_at(node.block(tag)).get_storage(place, as_quantity(slot, "slot"))
    return word(value)


@method("eth_call")
def call(node: Node, request: object, tag: object = "latest", overrides: object = None) -> str:
    if overrides:
        raise invalid_params("state overrides are not supported")
    return data(execute(node.machine, _view(node, tag), read_call(request)))


@method("eth_estimateGas")
def estimate_gas(node: Node, request: object, tag: object = "pending") -> str:
    """Estimate gas, by default in the block the transaction would be mined in, which has a later time than
    ``latest``."""
    return quantity(estimate(node.machine, _view(node, tag), read_call(request)))


def _view(node: Node, tag: object) -> View:
    return node.ledger.next_view() if tag == "pending" else node.ledger.view(node.block(tag))
