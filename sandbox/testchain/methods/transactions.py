"""Transactions: found, sent raw, or signed here with a key the node holds."""

from __future__ import annotations

import json
from typing import Any

from sandbox.testchain.execution import tx_admission
from sandbox.testchain.execution.evm_runner import BASE_FEE
from sandbox.testchain.execution.tx_building import signed_transaction
from sandbox.testchain.json_rpc import rendering
from sandbox.testchain.json_rpc.encoding import as_bytes, as_hash, as_quantity, hex_data
from sandbox.testchain.methods.registry import Lane, rpc_method
from sandbox.testchain.node import ChainNode
from sandbox.testchain.storage.chain_index import RawJson


@rpc_method("eth_getTransactionByHash")
def transaction_by_hash(node: ChainNode, tx_hash: object) -> Any:
    """Answer a transaction, mined or waiting for an earlier nonce; null where it is unknown."""
    wanted = as_hash(tx_hash)
    mined = node.index.find_transaction(wanted)
    if mined is not None:
        return mined
    raw = node.index.waiting_transaction(wanted)
    return None if raw is None else _pending_json(node, raw)


@rpc_method("eth_getRawTransactionByHash")
def raw_transaction_by_hash(node: ChainNode, tx_hash: object) -> str | None:
    """Answer the signed bytes of a mined transaction; null where there is none."""
    raw = node.index.raw_transaction(as_hash(tx_hash))
    return None if raw is None else hex_data(raw)


@rpc_method("eth_getTransactionReceipt")
def transaction_receipt(node: ChainNode, tx_hash: object) -> RawJson | None:
    """Answer the receipt of a mined transaction; null while it waits."""
    return node.index.find_receipt(as_hash(tx_hash))


@rpc_method("eth_getTransactionByBlockNumberAndIndex")
def transaction_by_number_and_index(node: ChainNode, tag: object, position: object) -> RawJson | None:
    """Answer a transaction by its place in a block that is named by number or tag; null where there is
    none."""
    number = node.block_number(tag)
    return None if number is None else node.index.transaction_at(number, as_quantity(position, "index"))


@rpc_method("eth_getTransactionByBlockHashAndIndex")
def transaction_by_hash_and_index(node: ChainNode, block_hash: object, position: object) -> RawJson | None:
    """Answer a transaction by its place in a block that is named by hash; null where there is none."""
    number = node.index.number_of(as_hash(block_hash))
    return None if number is None else node.index.transaction_at(number, as_quantity(position, "index"))


@rpc_method("eth_sendRawTransaction", lane=Lane.WRITE)
def send_raw_transaction(node: ChainNode, raw: object) -> str:
    """Take a signed transaction; it is mined before this answers, unless an earlier nonce is missing."""
    return hex_data(node.ledger.submit_transaction(as_bytes(raw, "transaction")))


@rpc_method("eth_sendTransaction", lane=Lane.WRITE)
def send_transaction(node: ChainNode, request: object) -> str:
    """Sign a transaction with a key that the node holds, and take it.

    Signed on the ledger's thread, so that no other transaction takes the nonce in between.
    """
    return hex_data(
        node.ledger.submit_transaction(tx_admission.encode_transaction(signed_transaction(node, request)))
    )


@rpc_method("eth_signTransaction")
def sign_transaction(node: ChainNode, request: object) -> dict[str, Any]:
    """Answer a signed transaction without taking it. Its nonce may be used before it is sent."""
    tx = signed_transaction(node, request)
    return {"raw": hex_data(tx_admission.encode_transaction(tx)), "tx": _transaction_body(node, tx)}


def _pending_json(node: ChainNode, raw: bytes) -> RawJson:
    """Return a waiting transaction as JSON. It is rendered per question, since few ever wait."""
    return RawJson(
        json.dumps(_transaction_body(node, tx_admission.decode_transaction(raw, node.settings.chain_id)))
    )


def _transaction_body(node: ChainNode, tx: Any) -> dict[str, Any]:
    """Return a transaction as the API spells it, without a place in a block."""
    return rendering.transaction_json(tx, node.settings.chain_id, BASE_FEE)
