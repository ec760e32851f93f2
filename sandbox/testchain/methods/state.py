"""Accounts at any block, calls and gas estimates. Every past state is kept, so every tag is answered."""

from __future__ import annotations

from sandbox.testchain.execution.evm_runner import StateView
from sandbox.testchain.execution.message_calls import estimate_call_gas, execute_call
from sandbox.testchain.execution.tx_building import read_call
from sandbox.testchain.json_rpc.encoding import (
    as_address,
    as_quantity,
    hex_data,
    hex_quantity,
    hex_word,
)
from sandbox.testchain.json_rpc.rpc_errors import invalid_params
from sandbox.testchain.methods.registry import rpc_method
from sandbox.testchain.node import ChainNode


@rpc_method("eth_getBalance")
def get_balance(node: ChainNode, address: object, tag: object = "latest") -> str:
    """Answer an account's balance in wei at a block."""
    return hex_quantity(node.ledger.state_at(node.resolve_block(tag)).get_balance(as_address(address)))


@rpc_method("eth_getTransactionCount")
def get_transaction_count(node: ChainNode, address: object, tag: object = "latest") -> str:
    """Answer an account's next nonce at a block.

    Transactions that wait for a gap are not counted, also for ``pending``.
    """
    return hex_quantity(node.ledger.state_at(node.resolve_block(tag)).get_nonce(as_address(address)))


@rpc_method("eth_getCode")
def get_code(node: ChainNode, address: object, tag: object = "latest") -> str:
    """Answer the code at an address; ``0x`` for an account without code."""
    return hex_data(node.ledger.state_at(node.resolve_block(tag)).get_code(as_address(address)))


@rpc_method("eth_getStorageAt")
def get_storage(node: ChainNode, address: object, slot: object, tag: object = "latest") -> str:
    """Answer one storage slot as 32 bytes."""
    place = as_address(address)
    value = node.ledger.state_at(node.resolve_block(tag)).get_storage(place, as_quantity(slot, "slot"))
    return hex_word(value)


@rpc_method("eth_call")
def call_contract(node: ChainNode, request: object, tag: object = "latest", overrides: object = None) -> str:
    """Run a message on the state of a block and answer what it returns; nothing of it stays."""
    # Refused: ignoring them would give an answer to another question.
    if overrides:
        raise invalid_params("state overrides are not supported")
    return hex_data(execute_call(node.machine, _view_of(node, tag), read_call(request)))


@rpc_method("eth_estimateGas")
def estimate_gas(node: ChainNode, request: object, tag: object = "pending") -> str:
    """Estimate gas, by default in the block the transaction would be mined in, which has a later time than
    ``latest``."""
    return hex_quantity(estimate_call_gas(node.machine, _view_of(node, tag), read_call(request)))


def _view_of(node: ChainNode, tag: object) -> StateView:
    """Return the view for a tag: ``pending`` sees the next block's number and time."""
    return node.ledger.next_view() if tag == "pending" else node.ledger.view_at(node.resolve_block(tag))
