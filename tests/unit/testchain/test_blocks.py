"""What the chain says about itself and its blocks."""

from __future__ import annotations

import re
from typing import Any

import pytest
import rlp  # type: ignore[import-untyped]
from eth_hash.auto import keccak

from sandbox.testchain.json_rpc.rpc_errors import RpcFault

QUANTITIES = ("number", "difficulty", "size", "gasLimit", "gasUsed", "timestamp", "baseFeePerGas")


def test_identity(chain: Any) -> None:
    assert chain.call("eth_chainId") == "0x2324"
    assert chain.call("net_version") == "8996"
    assert chain.call("net_listening") is True
    assert chain.call("eth_syncing") is False
    assert "py-evm" in chain.call("web3_clientVersion")
    assert chain.call("web3_sha3", "0x") == "0x" + keccak(b"").hex()


def test_code_sees_the_same_chain_id(chain: Any) -> None:
    address = chain.install("465f5260205ff3")  # CHAINID, MSTORE, RETURN
    assert int(chain.call("eth_call", {"to": address}, "latest"), 16) == 8996


def test_quantities_have_no_leading_zeros(chain: Any) -> None:
    block = chain.call("eth_getBlockByNumber", "latest", False)
    for name in QUANTITIES:
        assert re.fullmatch(r"0x(0|[1-9a-f][0-9a-f]*)", block[name]), name


def test_hash_is_of_the_header_and_links_to_the_parent(chain: Any) -> None:
    chain.transfer()
    block = chain.call("eth_getBlockByNumber", "latest", False)
    parent = chain.call("eth_getBlockByNumber", "0x0", False)
    assert block["parentHash"] == parent["hash"]
    assert block["hash"] == "0x" + keccak(rlp.encode(_header_fields(block))).hex()


def _header_fields(block: dict[str, Any]) -> list[bytes]:
    data = ("parentHash", "sha3Uncles", "miner", "stateRoot", "transactionsRoot", "receiptsRoot", "logsBloom")
    numbers = ("difficulty", "number", "gasLimit", "gasUsed", "timestamp")
    rest = ("extraData", "mixHash", "nonce")
    last = ("baseFeePerGas", "withdrawalsRoot", "blobGasUsed", "excessBlobGas")
    fields = [_data(block[name]) for name in data] + [_number(block[name]) for name in numbers]
    fields += [_data(block[name]) for name in rest] + [_number(block[last[0]]), _data(block[last[1]])]
    fields += [_number(block[name]) for name in last[2:]]
    return [*fields, _data(block["parentBeaconBlockRoot"]), _data(block["requestsHash"])]


def _data(text: str) -> bytes:
    return bytes.fromhex(text[2:])


def _number(text: str) -> bytes:
    value = int(text, 16)
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


@pytest.mark.parametrize("tag", ["latest", "safe", "finalized", "0x1"])
def test_tags_name_the_newest_block(chain: Any, tag: str) -> None:
    chain.transfer()
    assert chain.call("eth_getBlockByNumber", tag, False)["number"] == "0x1"
    assert chain.call("eth_getBlockByNumber", "earliest", False)["number"] == "0x0"


def test_pending_block_has_no_hash_and_the_next_number(chain: Any) -> None:
    pending = chain.call("eth_getBlockByNumber", "pending", False)
    assert (pending["number"], pending["hash"], pending["transactions"]) == ("0x1", None, [])


def test_unknown_blocks_are_null(chain: Any) -> None:
    assert chain.call("eth_getBlockByNumber", "0x99", False) is None
    assert chain.call("eth_getBlockByHash", "0x" + "00" * 32, True) is None
    assert chain.call("eth_getBlockReceipts", "0x99") is None
    assert chain.call("eth_getBlockTransactionCountByNumber", "0x99") is None
    assert chain.call("eth_getTransactionByBlockNumberAndIndex", "0x0", "0x0") is None


def test_full_blocks_hold_the_transactions(chain: Any) -> None:
    receipt = chain.transfer()
    block = chain.call("eth_getBlockByHash", receipt["blockHash"], True)
    (tx,) = block["transactions"]
    assert tx == chain.call("eth_getTransactionByHash", receipt["transactionHash"])
    assert chain.call("eth_getBlockReceipts", block["hash"]) == [receipt]
    assert chain.call("eth_getBlockTransactionCountByHash", block["hash"]) == "0x1"
    assert chain.call("eth_getTransactionByBlockHashAndIndex", block["hash"], "0x0") == tx
    assert chain.call("eth_getTransactionByBlockNumberAndIndex", block["number"], "0x0") == tx


def test_fees_are_one_wei_and_no_tip(chain: Any) -> None:
    assert chain.call("eth_gasPrice") == "0x1"
    assert chain.call("eth_maxPriorityFeePerGas") == "0x0"


def test_fee_history_covers_the_asked_blocks_and_the_next(chain: Any) -> None:
    for tip in (3, 7):
        chain.transfer(maxPriorityFeePerGas=hex(tip), maxFeePerGas=hex(100))
    history = chain.call("eth_feeHistory", "0x2", "latest", [25, 75])
    assert history["oldestBlock"] == "0x1"
    assert history["baseFeePerGas"] == ["0x1"] * 3
    assert len(history["gasUsedRatio"]) == 2
    assert history["reward"] == [["0x3", "0x3"], ["0x7", "0x7"]]


def test_descending_percentiles_are_refused(chain: Any) -> None:
    with pytest.raises(RpcFault, match="ascending"):
        chain.call("eth_feeHistory", 1, "latest", [50, 10])


def test_blockhash_sees_earlier_blocks(chain: Any) -> None:
    address = chain.install("5f35405f5260205ff3")  # BLOCKHASH(calldata word)
    chain.call("hardhat_mine", "0x3")
    expected = chain.call("eth_getBlockByNumber", "0x2", False)["hash"]
    assert chain.call("eth_call", {"to": address, "data": "0x" + "00" * 31 + "02"}, "latest") == expected
