"""Makes a block out of one executed transaction, or none: its header, hash and rows. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import rlp  # type: ignore[import-untyped]
from eth_hash.auto import keccak

from sandbox.testchain import rendering
from sandbox.testchain.encoding import data, quantity
from sandbox.testchain.evm import EMPTY_SHA256, PragueBlockHeader, make_trie_root_and_nodes
from sandbox.testchain.index import BlockRow, Head, LogRow, TransactionRow
from sandbox.testchain.machine import BASE_FEE, COINBASE, GAS_LIMIT, Surroundings


@dataclass(frozen=True, slots=True)
class Executed:
    """A signed transaction (and its bytes) with its outcome."""

    tx: Any
    raw: bytes
    receipt: Any
    gas_used: int


@dataclass(frozen=True, slots=True)
class Built:
    """A new block: its own row and those of its transactions and logs."""

    block: BlockRow
    transactions: tuple[TransactionRow, ...]
    logs: tuple[LogRow, ...]

    @property
    def head(self) -> Head:
        return Head(self.block.number, self.block.hash, self.block.timestamp, self.block.state_root)


def build(chain_id: int, parent: bytes, around: Surroundings, root: bytes, done: Executed | None) -> Built:
    """Make the block after ``parent`` whose state is ``root``."""
    header = _header(parent, around, root, done)
    encoded = rlp.encode(header)
    block_hash = keccak(encoded)
    body = rendering.header_json(header, block_hash, _size(len(encoded), done))
    block = BlockRow(
        around.number, block_hash, around.timestamp, root, header.gas_used, rendering.compact(body)
    )
    if done is None:
        return Built(block, (), ())
    place = {
        "blockHash": data(block.hash),
        "blockNumber": quantity(block.number),
        "transactionHash": data(done.tx.hash),
        "transactionIndex": "0x0",
    }
    logs = [
        rendering.log_json(log, place, position, block.timestamp)
        for position, log in enumerate(done.receipt.logs)
    ]
    transaction = _transaction_row(chain_id, block, done, place, logs)
    return Built(block, (transaction,), _log_rows(block.number, done.receipt.logs, logs))


def _header(parent: bytes, around: Surroundings, root: bytes, done: Executed | None) -> Any:
    fields: dict[str, Any] = {}
    if done:
        fields = {
            "transaction_root": make_trie_root_and_nodes([done.tx])[0],
            "receipt_root": make_trie_root_and_nodes([done.receipt])[0],
            "bloom": int(done.receipt.bloom),
            "gas_used": done.gas_used,
        }
    make: Any = PragueBlockHeader
    return make(
        difficulty=0,
        block_number=around.number,
        gas_limit=GAS_LIMIT,
        timestamp=around.timestamp,
        coinbase=COINBASE,
        parent_hash=parent,
        state_root=root,
        mix_hash=around.mix_hash,
        nonce=bytes(8),
        base_fee_per_gas=BASE_FEE,
        requests_hash=EMPTY_SHA256,
        **fields,
    )


def _transaction_row(
    chain_id: int, block: BlockRow, done: Executed, place: dict[str, Any], logs: list[dict[str, Any]]
) -> TransactionRow:
    tx = done.tx
    body = rendering.transaction_json(tx, chain_id, BASE_FEE)
    body |= {key: place[key] for key in ("blockHash", "blockNumber", "transactionIndex")}
    body["blockTimestamp"] = quantity(block.timestamp)
    receipt = rendering.receipt_json(tx, done.receipt, place, logs, done.gas_used, BASE_FEE)
    tip = rendering.effective_gas_price(tx, BASE_FEE) - BASE_FEE
    return TransactionRow(
        tx.hash,
        block.number,
        0,
        tx.sender,
        tip,
        done.raw,
        rendering.compact(body),
        rendering.compact(receipt),
    )


def _log_rows(number: int, logs: Any, bodies: list[dict[str, Any]]) -> tuple[LogRow, ...]:
    return tuple(
        LogRow(
            number,
            position,
            log.address,
            tuple(topic.to_bytes(32, "big") for topic in log.topics),
            rendering.compact(bodies[position]),
        )
        for position, log in enumerate(logs)
    )


def _size(header: int, done: Executed | None) -> int:
    """Return the length of the block's RLP: header, transaction (a string if typed), no uncles or
    withdrawals."""
    inner = 0
    if done:
        inner = len(done.raw) + (_prefix(len(done.raw)) if done.tx.type_id else 0)
    payload = header + _prefix(inner) + inner + 2
    return payload + _prefix(payload)


def _prefix(length: int) -> int:
    return 1 if length < 56 else 1 + (length.bit_length() + 7) // 8
