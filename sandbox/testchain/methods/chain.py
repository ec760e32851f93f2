"""Methods that tell what the chain is and what its blocks contain."""

from __future__ import annotations

from typing import Any

from eth_hash.auto import keccak

from sandbox.testchain.execution.evm_runner import BASE_FEE, COINBASE, GAS_LIMIT
from sandbox.testchain.json_rpc.encoding import as_bytes, as_hash, as_quantity, hex_data, hex_quantity
from sandbox.testchain.json_rpc.rpc_errors import invalid_params, refusal_fault
from sandbox.testchain.methods.registry import rpc_method
from sandbox.testchain.node import ChainNode
from sandbox.testchain.storage.chain_index import RawJson

CLIENT = "c2d-testchain/0.1.0/py-evm"
# geth's limit for one request.
_MAX_FEE_HISTORY = 1024


@rpc_method("eth_chainId")
def chain_id(node: ChainNode) -> str:
    """Answer the chain id that transactions are signed for (EIP-155)."""
    return hex_quantity(node.settings.chain_id)


@rpc_method("net_version")
def network_id(node: ChainNode) -> str:
    """Answer the network's id, as decimal text: net_version is the one that is not hex."""
    return str(node.settings.chain_id)


@rpc_method("web3_clientVersion")
def client_version(node: ChainNode) -> str:
    """Answer the name of the client, by which tools tell nodes apart."""
    return CLIENT


@rpc_method("web3_sha3")
def keccak_hash(node: ChainNode, value: object) -> str:
    """Answer the keccak-256 of the bytes; the method's name says SHA3 for historical reasons."""
    return hex_data(keccak(as_bytes(value, "data")))


@rpc_method("net_listening")
def is_listening(node: ChainNode) -> bool:
    """Answer True: the node serves. It has no peers to listen for."""
    return True


@rpc_method("net_peerCount")
def peer_count(node: ChainNode) -> str:
    return "0x0"


@rpc_method("eth_syncing", "eth_mining")
def is_syncing(node: ChainNode) -> bool:
    """Answer False: this node is always at its own head, and nobody mines."""
    return False


@rpc_method("eth_protocolVersion")
def protocol_version(node: ChainNode) -> str:
    """Answer a constant; the method is deprecated and some libraries still ask it."""
    return "0x41"


@rpc_method("eth_hashrate")
def hashrate(node: ChainNode) -> str:
    return "0x0"


@rpc_method("eth_coinbase")
def coinbase(node: ChainNode) -> str:
    return hex_data(COINBASE)


@rpc_method("eth_blockNumber")
def block_number(node: ChainNode) -> str:
    """Answer the number of the newest block."""
    return hex_quantity(node.ledger.head.number)


@rpc_method("eth_getBlockByNumber")
def block_by_number(node: ChainNode, tag: object, full: object = False) -> Any:
    """Answer a block by number or tag; null where it does not exist."""
    if tag == "pending":
        return _pending_block(node)
    number = node.block_number(tag)
    return None if number is None else node.index.block(number, _read_flag(full))


@rpc_method("eth_getBlockByHash")
def block_by_hash(node: ChainNode, block_hash: object, full: object = False) -> RawJson | None:
    """Answer a block by its hash; null where it is unknown."""
    number = node.index.number_of(as_hash(block_hash))
    return None if number is None else node.index.block(number, _read_flag(full))


@rpc_method("eth_getBlockReceipts")
def block_receipts(node: ChainNode, tag: object) -> RawJson | None:
    """Answer all receipts of a block; null where it does not exist."""
    number = _find_block_number(node, tag)
    return None if number is None else node.index.block_receipts(number)


@rpc_method("eth_getBlockTransactionCountByNumber", "eth_getBlockTransactionCountByHash")
def block_transaction_count(node: ChainNode, tag: object) -> str | None:
    """Answer how many transactions a block has: 0 or 1 on this chain."""
    number = _find_block_number(node, tag)
    return None if number is None else hex_quantity(node.index.transaction_count(number))


@rpc_method("eth_getUncleCountByBlockNumber", "eth_getUncleCountByBlockHash")
def uncle_count(node: ChainNode, tag: object) -> str | None:
    return None if _find_block_number(node, tag) is None else "0x0"


@rpc_method("eth_getUncleByBlockNumberAndIndex", "eth_getUncleByBlockHashAndIndex")
def uncle_block(node: ChainNode, tag: object, position: object) -> None:
    return None


@rpc_method("eth_gasPrice")
def gas_price(node: ChainNode) -> str:
    """Answer the base fee: one wei, as barge's chain asks, so that test accounts never run dry."""
    return hex_quantity(BASE_FEE)


@rpc_method("eth_maxPriorityFeePerGas", "eth_blobBaseFee")
def priority_fee(node: ChainNode) -> str:
    """Answer zero: nobody competes for a place in a block, so no tip is needed (and no blob is
    ever taken)."""
    return "0x0"


@rpc_method("eth_feeHistory")
def fee_history(node: ChainNode, count: object, newest: object, percentiles: object = None) -> dict[str, Any]:
    """Answer the fees of the last ``count`` blocks up to ``newest``, and of the one after them."""
    # Asking for more than the limit gives the limit, as in geth.
    wanted = min(as_quantity(count, "block count"), _MAX_FEE_HISTORY)
    last = node.block_number(newest)
    if last is None:
        raise refusal_fault("request beyond head block")
    first = max(0, last - wanted + 1)
    used = node.index.gas_used(first, last) if wanted else []
    history: dict[str, Any] = {
        "oldestBlock": hex_quantity(first if wanted else 0),
        # One entry more than blocks: the last one is for the block to come.
        "baseFeePerGas": [hex_quantity(BASE_FEE)] * (len(used) + 1) if wanted else None,
        "gasUsedRatio": [gas / GAS_LIMIT for gas in used],
        "baseFeePerBlobGas": ["0x1"] * (len(used) + 1),
        "blobGasUsedRatio": [0] * len(used),
    }
    points = _read_percentiles(percentiles)
    if points:
        history["reward"] = [
            _reward_row(node.index.block_tips(number), points) for number in range(first, last + 1)
        ]
    return history


def _read_percentiles(value: object) -> list[float]:
    """Read the percentiles of tips; geth refuses those that are not ascending."""
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(p, (int, float)) and 0 <= p <= 100 for p in value):
        raise invalid_params("invalid reward percentiles: numbers from 0 to 100 expected")
    if sorted(value) != value:
        raise invalid_params("invalid reward percentile: must be ascending")
    return [float(p) for p in value]


def _reward_row(tips: list[int], points: list[float]) -> list[str]:
    """Return the tips at the asked percentiles of one block's transactions, zero for an empty block."""
    if not tips:
        return ["0x0"] * len(points)
    return [hex_quantity(tips[min(len(tips) - 1, int(len(tips) * point / 100))]) for point in points]


def _pending_block(node: ChainNode) -> dict[str, Any]:
    """Return the block that a transaction sent now would open: no hash yet, nothing in it."""
    around = node.ledger.next_block_context()
    return {
        "number": hex_quantity(around.number),
        "hash": None,
        "nonce": None,
        "miner": None,
        "parentHash": hex_data(node.ledger.head.hash),
        "mixHash": hex_data(around.mix_hash),
        # The hash of an empty list; the roots below are that of an empty trie.
        "sha3Uncles": "0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347",
        "logsBloom": "0x" + "00" * 256,
        "transactionsRoot": "0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421",
        "stateRoot": hex_data(node.ledger.head.state_root),
        "receiptsRoot": "0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421",
        "difficulty": "0x0",
        "totalDifficulty": "0x0",
        "extraData": "0x",
        "size": "0x0",
        "gasLimit": hex_quantity(GAS_LIMIT),
        "gasUsed": "0x0",
        "timestamp": hex_quantity(around.timestamp),
        "baseFeePerGas": hex_quantity(BASE_FEE),
        "uncles": [],
        "withdrawals": [],
        "transactions": [],
    }


def _find_block_number(node: ChainNode, tag: object) -> int | None:
    """Return the number of a block that is given by number, tag or hash."""
    # 66 characters are 0x and 32 bytes: no block number is that long.
    if isinstance(tag, str) and len(tag) == 66:
        return node.index.number_of(as_hash(tag))
    return node.block_number(tag)


def _read_flag(value: object) -> bool:
    """Read the flag for whole transactions; a missing one is False by its default, anything else is a
    fault."""
    if not isinstance(value, bool):
        raise invalid_params("invalid argument 1: boolean expected")
    return value
