"""Renders blocks, transactions, receipts and logs as the execution API spells them.

That is done once, when a block is made, and stored as text: answering a query is then a lookup, not a
conversion.
"""

from __future__ import annotations

import json
from typing import Any

from eth_hash.auto import keccak

from sandbox.testchain.encoding import data, quantity, word

ACCESS_LIST = 1
DYNAMIC_FEE = 2


def compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def header_json(header: Any, block_hash: bytes, size: int) -> dict[str, Any]:
    """Return everything of a block but its ``transactions``."""
    return {
        "number": quantity(header.block_number),
        "hash": data(block_hash),
        "parentHash": data(header.parent_hash),
        "nonce": data(header.nonce),
        "mixHash": data(header.mix_hash),
        "sha3Uncles": data(header.uncles_hash),
        "logsBloom": f"0x{header.bloom:0512x}",
        "transactionsRoot": data(header.transaction_root),
        "stateRoot": data(header.state_root),
        "receiptsRoot": data(header.receipt_root),
        "miner": data(header.coinbase),
        "difficulty": quantity(header.difficulty),
        "totalDifficulty": "0x0",
        "extraData": data(header.extra_data),
        "size": quantity(size),
        "gasLimit": quantity(header.gas_limit),
        "gasUsed": quantity(header.gas_used),
        "timestamp": quantity(header.timestamp),
        "baseFeePerGas": quantity(header.base_fee_per_gas),
        "withdrawalsRoot": data(header.withdrawals_root),
        "blobGasUsed": quantity(header.blob_gas_used),
        "excessBlobGas": quantity(header.excess_blob_gas),
        "parentBeaconBlockRoot": data(header.parent_beacon_block_root),
        "requestsHash": data(header.requests_hash),
        "uncles": [],
        "withdrawals": [],
    }


def transaction_json(tx: Any, chain_id: int, base_fee: int) -> dict[str, Any]:
    """Return a signed transaction without its place in a block (those keys are null: it is pending)."""
    kind = tx.type_id or 0
    body: dict[str, Any] = {
        "blockHash": None,
        "blockNumber": None,
        "transactionIndex": None,
        "blockTimestamp": None,
        "hash": data(tx.hash),
        "type": quantity(kind),
        "from": data(tx.sender),
        "to": data(tx.to) if tx.to else None,
        "nonce": quantity(tx.nonce),
        "gas": quantity(tx.gas),
        "gasPrice": quantity(effective_gas_price(tx, base_fee)),
        "value": quantity(tx.value),
        "input": data(tx.data),
        "r": quantity(tx.r),
        "s": quantity(tx.s),
    }
    if kind == 0:
        return body | {"v": quantity(tx.v)} | ({"chainId": quantity(chain_id)} if tx.v >= 35 else {})
    body |= {"v": quantity(tx.y_parity), "yParity": quantity(tx.y_parity), "chainId": quantity(tx.chain_id)}
    body["accessList"] = [
        {"address": data(address), "storageKeys": [word(slot) for slot in slots]}
        for address, slots in tx.access_list
    ]
    if kind == DYNAMIC_FEE:
        body["maxFeePerGas"] = quantity(tx.max_fee_per_gas)
        body["maxPriorityFeePerGas"] = quantity(tx.max_priority_fee_per_gas)
    return body


def effective_gas_price(tx: Any, base_fee: int) -> int:
    return int(min(tx.max_fee_per_gas, tx.max_priority_fee_per_gas + base_fee))


def log_json(log: Any, place: dict[str, Any], position: int, timestamp: int) -> dict[str, Any]:
    return {
        "address": data(log.address),
        "topics": [word(topic) for topic in log.topics],
        "data": data(log.data),
        **place,
        "blockTimestamp": quantity(timestamp),
        "logIndex": quantity(position),
        "removed": False,
    }


def receipt_json(
    tx: Any, receipt: Any, place: dict[str, Any], logs: list[dict[str, Any]], gas_used: int, base_fee: int
) -> dict[str, Any]:
    return {
        **place,
        "type": quantity(tx.type_id or 0),
        "from": data(tx.sender),
        "to": data(tx.to) if tx.to else None,
        "contractAddress": None if tx.to else data(created_address(tx.sender, tx.nonce)),
        "status": "0x1" if receipt.state_root == b"\x01" else "0x0",
        "gasUsed": quantity(gas_used),
        "cumulativeGasUsed": quantity(receipt.gas_used),
        "effectiveGasPrice": quantity(effective_gas_price(tx, base_fee)),
        "logs": logs,
        "logsBloom": f"0x{int(receipt.bloom):0512x}",
    }


def created_address(sender: bytes, nonce: int) -> bytes:
    """Return the address of a creation by ``sender`` with ``nonce``: keccak(rlp([sender, nonce])), last 20
    bytes."""
    if nonce == 0:
        encoded = b"\x80"
    elif nonce < 0x80:
        encoded = bytes([nonce])
    else:
        digits = nonce.to_bytes((nonce.bit_length() + 7) // 8, "big")
        encoded = bytes([0x80 + len(digits)]) + digits
    payload = b"\x94" + sender + encoded
    return keccak(bytes([0xC0 + len(payload)]) + payload)[12:]
