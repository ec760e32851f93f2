"""Makes a block out of one executed transaction, or none: its header, hash and rows. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import rlp  # type: ignore[import-untyped]
from eth_hash.auto import keccak

from sandbox.testchain.execution.evm import EMPTY_SHA256, PragueBlockHeader, make_trie_root_and_nodes
from sandbox.testchain.execution.evm_runner import BASE_FEE, COINBASE, GAS_LIMIT, BlockContext
from sandbox.testchain.json_rpc import rendering
from sandbox.testchain.json_rpc.encoding import hex_data, hex_quantity
from sandbox.testchain.storage.chain_index import BlockRow, ChainHead, LogRow, TransactionRow


@dataclass(frozen=True, slots=True)
class ExecutedTransaction:
    """A signed transaction (and its bytes) with its outcome."""

    tx: Any
    raw: bytes
    receipt: Any
    gas_used: int


@dataclass(frozen=True, slots=True)
class BuiltBlock:
    """A new block: its own row and those of its transactions and logs."""

    block: BlockRow
    transactions: tuple[TransactionRow, ...]
    logs: tuple[LogRow, ...]

    @property
    def head(self) -> ChainHead:
        return ChainHead(self.block.number, self.block.hash, self.block.timestamp, self.block.state_root)


def build_block(
    chain_id: int, parent: bytes, around: BlockContext, root: bytes, done: ExecutedTransaction | None
) -> BuiltBlock:
    """Make the block after ``parent`` whose state is ``root``; ``done`` is its only transaction, or None.

    Everything that queries answer is rendered here, once, and stored as text.
    """
    header = _block_header(parent, around, root, done)
    # A block's hash is that of its header alone; transactions and receipts are in it by their roots.
    encoded = rlp.encode(header)
    block_hash = keccak(encoded)
    body = rendering.header_json(header, block_hash, _block_size(len(encoded), done))
    block = BlockRow(
        around.number, block_hash, around.timestamp, root, header.gas_used, rendering.compact_json(body)
    )
    if done is None:
        return BuiltBlock(block, (), ())
    # Fields that transaction, receipt and logs share.
    place = {
        "blockHash": hex_data(block.hash),
        "blockNumber": hex_quantity(block.number),
        "transactionHash": hex_data(done.tx.hash),
        "transactionIndex": "0x0",
    }
    logs = [
        rendering.log_json(log, place, position, block.timestamp)
        for position, log in enumerate(done.receipt.logs)
    ]
    transaction = _transaction_row(chain_id, block, done, place, logs)
    return BuiltBlock(block, (transaction,), _log_rows(block.number, done.receipt.logs, logs))


def _block_header(parent: bytes, around: BlockContext, root: bytes, done: ExecutedTransaction | None) -> Any:
    """Return the header; fields that depend on a transaction keep their empty roots without one."""
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
        # Zero, as the nonce, since the Merge (EIP-3675); mix_hash carries PREVRANDAO (EIP-4399).
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
        # EIP-7685: the hash of an empty list of requests.
        requests_hash=EMPTY_SHA256,
        **fields,
    )


def _transaction_row(
    chain_id: int,
    block: BlockRow,
    done: ExecutedTransaction,
    place: dict[str, Any],
    logs: list[dict[str, Any]],
) -> TransactionRow:
    """Return the transaction's row, with transaction and receipt as the text that queries answer."""
    tx = done.tx
    body = rendering.transaction_json(tx, chain_id, BASE_FEE)
    body |= {key: place[key] for key in ("blockHash", "blockNumber", "transactionIndex")}
    body["blockTimestamp"] = hex_quantity(block.timestamp)
    receipt = rendering.receipt_json(tx, done.receipt, place, logs, done.gas_used, BASE_FEE)
    # Kept as a number, since eth_feeHistory sorts by it.
    tip = rendering.effective_gas_price(tx, BASE_FEE) - BASE_FEE
    return TransactionRow(
        tx.hash,
        block.number,
        0,
        tx.sender,
        tip,
        done.raw,
        rendering.compact_json(body),
        rendering.compact_json(receipt),
    )


def _log_rows(number: int, logs: Any, bodies: list[dict[str, Any]]) -> tuple[LogRow, ...]:
    """Return one row per log; topics are stored as 32 bytes, which the queries compare."""
    return tuple(
        LogRow(
            number,
            position,
            log.address,
            tuple(topic.to_bytes(32, "big") for topic in log.topics),
            rendering.compact_json(bodies[position]),
        )
        for position, log in enumerate(logs)
    )


def _block_size(header: int, done: ExecutedTransaction | None) -> int:
    """Return the length of the block's RLP: header, transaction (a string if typed), no uncles or
    withdrawals."""
    inner = 0
    # A typed transaction (EIP-2718) is wrapped as a byte string in the block's list.
    if done:
        inner = len(done.raw) + (_prefix_length(len(done.raw)) if done.tx.type_id else 0)
    # The two bytes are the empty lists of uncles and withdrawals.
    payload = header + _prefix_length(inner) + inner + 2
    return payload + _prefix_length(payload)


def _prefix_length(length: int) -> int:
    """Return the length of RLP's prefix for a payload of ``length`` bytes."""
    return 1 if length < 56 else 1 + (length.bit_length() + 7) // 8
