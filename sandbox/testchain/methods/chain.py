"""Methods that tell what the chain is and what its blocks contain."""

from __future__ import annotations

from typing import Any

from eth_hash.auto import keccak

from sandbox.testchain.encoding import as_bytes, as_hash, as_quantity, data, quantity
from sandbox.testchain.faults import invalid_params, refused
from sandbox.testchain.index import RawJson
from sandbox.testchain.machine import BASE_FEE, COINBASE, GAS_LIMIT
from sandbox.testchain.methods.registry import method
from sandbox.testchain.node import Node

CLIENT = "c2d-testchain/0.1.0/py-evm"
_MAX_FEE_HISTORY = 1024


@method("eth_chainId")
def chain_id(node: Node) -> str:
    return quantity(node.settings.chain_id)


@method("net_version")
def network(node: Node) -> str:
    return str(node.settings.chain_id)


@method("web3_clientVersion")
def client(node: Node) -> str:
    return CLIENT


@method("web3_sha3")
def sha3(node: Node, value: object) -> str:
    return data(keccak(as_bytes(value, "data")))


@method("net_listening")
def listening(node: Node) -> bool:
    return True


@method("net_peerCount")
def peers(node: Node) -> str:
    return "0x0"


@method("eth_syncing", "eth_mining")
def syncing(node: Node) -> bool:
    return False


@method("eth_protocolVersion")
def protocol(node: Node) -> str:
    return "0x41"


@method("eth_hashrate")
def hashrate(node: Node) -> str:
    return "0x0"


@method("eth_coinbase")
def coinbase(node: Node) -> str:
    return data(COINBASE)


@method("eth_blockNumber")
def block_number(node: Node) -> str:
    return quantity(node.ledger.head.number)


@method("eth_getBlockByNumber")
def block_by_number(node: Node, tag: object, full: object = False) -> Any:
    if tag == "pending":
        return _pending_block(node)
    number = node.block_number(tag)
    return None if number is None else node.index.block(number, _flag(full))


@method("eth_getBlockByHash")
def block_by_hash(node: Node, block_hash: object, full: object = False) -> RawJson | None:
    number = node.index.number_of(as_hash(block_hash))
    return None if number is None else node.index.block(number, _flag(full))


@method("eth_getBlockReceipts")
def block_receipts(node: Node, tag: object) -> RawJson | None:
    number = _place(node, tag)
    return None if number is None else node.index.receipts(number)


@method("eth_getBlockTransactionCountByNumber", "eth_getBlockTransactionCountByHash")
def block_transaction_count(node: Node, tag: object) -> str | None:
    number = _place(node, tag)
    return None if number is None else quantity(node.index.transaction_count(number))


@method("eth_getUncleCountByBlockNumber", "eth_getUncleCountByBlockHash")
def uncle_count(node: Node, tag: object) -> str | None:
    return None if _place(node, tag) is None else "0x0"


@method("eth_getUncleByBlockNumberAndIndex", "eth_getUncleByBlockHashAndIndex")
def uncle(node: Node, tag: object, position: object) -> None:
    return None


@method("eth_gasPrice")
def gas_price(node: Node) -> str:
    return quantity(BASE_FEE)


@method("eth_maxPriorityFeePerGas", "eth_blobBaseFee")
def priority_fee(node: Node) -> str:
    """Answer zero: nobody competes for a place in a block, so no tip is needed (and no blob is
    ever taken)."""
    return "0x0"


@method("eth_feeHistory")
def fee_history(node: Node, count: object, newest: object, percentiles: object = None) -> dict[str, Any]:
    wanted = min(as_quantity(count, "block count"), _MAX_FEE_HISTORY)
    last = node.block_number(newest)
    if last is None:
        raise refused("request beyond head block")
    first = max(0, last - wanted + 1)
    used = node.index.gas_used(first, last) if wanted else []
    history: dict[str, Any] = {
        "oldestBlock": quantity(first if wanted else 0),
        "baseFeePerGas": [quantity(BASE_FEE)] * (len(used) + 1) if wanted else None,
        "gasUsedRatio": [gas / GAS_LIMIT for gas in used],
        "baseFeePerBlobGas": ["0x1"] * (len(used) + 1),
        "blobGasUsedRatio": [0] * len(used),
    }
    points = _percentiles(percentiles)
    if points:
        history["reward"] = [_rewards(node.index.tips(number), points) for number in range(first, last + 1)]
    return history


def _percentiles(value: object) -> list[float]:
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(p, (int, float)) and 0 <= p <= 100 for p in value):
        raise invalid_params("invalid reward percentiles: numbers from 0 to 100 expected")
    if sorted(value) != value:
        raise invalid_params("invalid reward percentile: must be ascending")
    return [float(p) for p in value]


def _rewards(tips: list[int], points: list[float]) -> list[str]:
    if not tips:
        return ["0x0"] * len(points)
    return [quantity(tips[min(len(tips) - 1, int(len(tips) * point / 100))]) for point in points]


def _pending_block(node: Node) -> dict[str, Any]:
    """Return the block that a transaction sent now would open: no hash yet, nothing in it."""
    around = node.ledger.next_surroundings()
    return {
        "number": quantity(around.number),
        "hash": None,
        "nonce": None,
        "miner": None,
        "parentHash": data(node.ledger.head.hash),
        "mixHash": data(around.mix_hash),
        "sha3Uncles": "0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347",
        "logsBloom": "0x" + "00" * 256,
        "transactionsRoot": "0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421",
        "stateRoot": data(node.ledger.head.state_root),
        "receiptsRoot": "0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421",
        "difficulty": "0x0",
        "totalDifficulty": "0x0",
        "extraData": "0x",
        "size": "0x0",
        "gasLimit": quantity(GAS_LIMIT),
        "gasUsed": "0x0",
        "timestamp": quantity(around.timestamp),
        "baseFeePerGas": quantity(BASE_FEE),
        "uncles": [],
        "withdrawals": [],
        "transactions": [],
    }


def _place(node: Node, tag: object) -> int | None:
    """Return the number of a block that is given by number, tag or hash."""
    if isinstance(tag, str) and len(tag) == 66:
        return node.index.number_of(as_hash(tag))
    return node.block_number(tag)


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise invalid_params("invalid argument 1: boolean expected")
    return value
