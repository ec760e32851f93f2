"""Renders blocks, transactions, receipts and logs as the execution API spells them.

That is done once, when a block is made, and stored as text: answering a query is then a lookup, not a
conversion.
"""

from __future__ import annotations

import json
from typing import Any

from eth_hash.auto import keccak

from sandbox.testchain.json_rpc.encoding import hex_data, hex_quantity, hex_word

# EIP-2718 types; legacy transactions count as 0.
ACCESS_LIST = 1
DYNAMIC_FEE = 2


def compact_json(value: object) -> str:
    """Return JSON without spaces: it is stored per block and sent as it is."""
    return json.dumps(value, separators=(",", ":"))


def header_json(header: Any, block_hash: bytes, size: int) -> dict[str, Any]:
    """Return everything of a block but its ``transactions``.

    Those are put in per query, as hashes or whole objects (``ChainIndex.block``).
    """
    return {
        "number": hex_quantity(header.block_number),
        "hash": hex_data(block_hash),
        "parentHash": hex_data(header.parent_hash),
        "nonce": hex_data(header.nonce),
        "mixHash": hex_data(header.mix_hash),
        "sha3Uncles": hex_data(header.uncles_hash),
        "logsBloom": f"0x{header.bloom:0512x}",
        "transactionsRoot": hex_data(header.transaction_root),
        "stateRoot": hex_data(header.state_root),
        "receiptsRoot": hex_data(header.receipt_root),
        "miner": hex_data(header.coinbase),
        "difficulty": hex_quantity(header.difficulty),
        # Gone from the specification; kept for clients that still read it.
        "totalDifficulty": "0x0",
        "extraData": hex_data(header.extra_data),
        "size": hex_quantity(size),
        "gasLimit": hex_quantity(header.gas_limit),
        "gasUsed": hex_quantity(header.gas_used),
        "timestamp": hex_quantity(header.timestamp),
        "baseFeePerGas": hex_quantity(header.base_fee_per_gas),
        "withdrawalsRoot": hex_data(header.withdrawals_root),
        "blobGasUsed": hex_quantity(header.blob_gas_used),
        "excessBlobGas": hex_quantity(header.excess_blob_gas),
        "parentBeaconBlockRoot": hex_data(header.parent_beacon_block_root),
        "requestsHash": hex_data(header.requests_hash),
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
        "hash": hex_data(tx.hash),
        "type": hex_quantity(kind),
        "from": hex_data(tx.sender),
        "to": hex_data(tx.to) if tx.to else None,
        "nonce": hex_quantity(tx.nonce),
        "gas": hex_quantity(tx.gas),
        "gasPrice": hex_quantity(effective_gas_price(tx, base_fee)),
        "value": hex_quantity(tx.value),
        "input": hex_data(tx.data),
        "r": hex_quantity(tx.r),
        "s": hex_quantity(tx.s),
    }
    # v from 35 on carries the chain id (EIP-155); 27 and 28 are older signatures without it.
    if kind == 0:
        return body | {"v": hex_quantity(tx.v)} | ({"chainId": hex_quantity(chain_id)} if tx.v >= 35 else {})
    # Typed transactions sign the parity itself; ``v`` repeats it for old readers.
    body |= {
        "v": hex_quantity(tx.y_parity),
        "yParity": hex_quantity(tx.y_parity),
        "chainId": hex_quantity(tx.chain_id),
    }
    body["accessList"] = [
        {"address": hex_data(address), "storageKeys": [hex_word(slot) for slot in slots]}
        for address, slots in tx.access_list
    ]
    if kind == DYNAMIC_FEE:
        body["maxFeePerGas"] = hex_quantity(tx.max_fee_per_gas)
        body["maxPriorityFeePerGas"] = hex_quantity(tx.max_priority_fee_per_gas)
    return body


def effective_gas_price(tx: Any, base_fee: int) -> int:
    """Return the wei per gas that the sender pays (EIP-1559): base fee and tip, up to its maximum."""
    return int(min(tx.max_fee_per_gas, tx.max_priority_fee_per_gas + base_fee))


def log_json(log: Any, place: dict[str, Any], position: int, timestamp: int) -> dict[str, Any]:
    """Return a log with its place in the chain. ``removed`` is always false: a revert drops
    logs without announcing it."""
    return {
        "address": hex_data(log.address),
        "topics": [hex_word(topic) for topic in log.topics],
        "data": hex_data(log.data),
        **place,
        "blockTimestamp": hex_quantity(timestamp),
        "logIndex": hex_quantity(position),
        "removed": False,
    }


def receipt_json(
    tx: Any, receipt: Any, place: dict[str, Any], logs: list[dict[str, Any]], gas_used: int, base_fee: int
) -> dict[str, Any]:
    """Return a receipt as the API spells it; ``place`` has block and transaction."""
    return {
        **place,
        "type": hex_quantity(tx.type_id or 0),
        "from": hex_data(tx.sender),
        "to": hex_data(tx.to) if tx.to else None,
        "contractAddress": None if tx.to else hex_data(created_address(tx.sender, tx.nonce)),
        # py-evm keeps the status in the field that held a state root before Byzantium.
        "status": "0x1" if receipt.state_root == b"\x01" else "0x0",
        "gasUsed": hex_quantity(gas_used),
        # The same as gasUsed: each block has one transaction.
        "cumulativeGasUsed": hex_quantity(receipt.gas_used),
        "effectiveGasPrice": hex_quantity(effective_gas_price(tx, base_fee)),
        "logs": logs,
        "logsBloom": f"0x{int(receipt.bloom):0512x}",
    }


def created_address(sender: bytes, nonce: int) -> bytes:
    """Return the address of a creation by ``sender`` with ``nonce``: keccak(rlp([sender, nonce])), last 20
    bytes."""
    # RLP by hand: an integer is its own byte below 0x80, zero is the empty string.
    if nonce == 0:
        encoded = b"\x80"
    elif nonce < 0x80:
        encoded = bytes([nonce])
    else:
        digits = nonce.to_bytes((nonce.bit_length() + 7) // 8, "big")
        encoded = bytes([0x80 + len(digits)]) + digits
    # 0x94: a string of 20 bytes; 0xc0 and above: a short list.
    payload = b"\x94" + sender + encoded
    return keccak(bytes([0xC0 + len(payload)]) + payload)[12:]
