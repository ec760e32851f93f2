"""Transactions: found, sent raw, or signed here with a key the node holds."""

from __future__ import annotations

import json
from typing import Any

from sandbox.testchain import admission, rendering
from sandbox.testchain.drafting import signed
from sandbox.testchain.encoding import as_bytes, as_hash, as_quantity, data
from sandbox.testchain.index import RawJson
from sandbox.testchain.machine import BASE_FEE
from sandbox.testchain.methods.registry import Lane, method
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
    return data(node.ledger.submit(admission.encoded(signed(node, request))))


@method("eth_signTransaction")
def sign(node: Node, request: object) -> dict[str, Any]:
    tx = signed(node, request)
    return {"raw": data(admission.encoded(tx)), "tx": _body(node, tx)}


def _pending(node: Node, raw: bytes) -> RawJson:
    return RawJson(json.dumps(_body(node, admission.decode(raw, node.settings.chain_id))))


def _body(node: Node, tx: Any) -> dict[str, Any]:
    return rendering.transaction_json(tx, node.settings.chain_id, BASE_FEE)
