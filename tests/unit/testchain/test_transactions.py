"""Sending: which transactions are taken, what they look like afterwards, and how refusals read."""

from __future__ import annotations

from typing import Any

import pytest
import rlp  # type: ignore[import-untyped]
from eth_account import Account
from eth_hash.auto import keccak
from hypothesis import given
from hypothesis import strategies as st

from sandbox.testchain.accounts import derive_accounts
from sandbox.testchain.json_rpc.rendering import created_address
from sandbox.testchain.json_rpc.rpc_errors import RpcFault
from sandbox.testchain.settings import BARGE_MNEMONIC

KEYS = [account.key for account in derive_accounts(BARGE_MNEMONIC, 3)]
LEGACY = {"gasPrice": 5}
ACCESS_LIST = {
    "gasPrice": 5,
    "accessList": [{"address": "0x" + "22" * 20, "storageKeys": ["0x" + "00" * 31 + "07"]}],
}
DYNAMIC = {"maxFeePerGas": 10, "maxPriorityFeePerGas": 3}


def signed(chain: Any, fields: dict[str, Any] | None = None, sender: int = 0, **more: Any) -> str:
    tx = (
        {"nonce": 0, "gas": 60_000, "to": "0x" + "11" * 20, "value": 1, "chainId": 8996}
        | (fields or DYNAMIC)
        | more
    )
    return "0x" + bytes(Account.sign_transaction(tx, KEYS[sender]).raw_transaction).hex()


@pytest.mark.parametrize(("fields", "kind", "price"), [(LEGACY, 0, 5), (ACCESS_LIST, 1, 5), (DYNAMIC, 2, 4)])
def test_every_type_is_mined_at_once(chain: Any, fields: dict[str, Any], kind: int, price: int) -> None:
    raw = signed(chain, fields)
    tx_hash = chain.call("eth_sendRawTransaction", raw)
    receipt = chain.call("eth_getTransactionReceipt", tx_hash)
    tx = chain.call("eth_getTransactionByHash", tx_hash)
    assert (receipt["status"], receipt["type"], tx["type"]) == ("0x1", hex(kind), hex(kind))
    assert int(receipt["effectiveGasPrice"], 16) == int(tx["gasPrice"], 16) == price
    assert tx["from"] == receipt["from"] == chain.accounts[0]
    assert tx["chainId"] == "0x2324"
    assert chain.call("eth_getRawTransactionByHash", tx_hash) == raw
    assert ("accessList" in tx, "maxFeePerGas" in tx) == (kind > 0, kind == 2)
    if kind == 1:
        assert tx["accessList"] == ACCESS_LIST["accessList"]


def test_pre_eip155_transactions_have_no_chain_id(chain: Any) -> None:
    tx = {"nonce": 0, "gas": 21_000, "to": "0x" + "11" * 20, "value": 1, "gasPrice": 1}
    raw = bytes(Account.sign_transaction(tx, KEYS[0]).raw_transaction)
    found = chain.call("eth_getTransactionByHash", chain.call("eth_sendRawTransaction", "0x" + raw.hex()))
    assert found["v"] in ("0x1b", "0x1c")
    assert "chainId" not in found


REFUSED: dict[str, dict[str, Any]] = {
    "nonce too low: next nonce 1, tx nonce 0": {"nonce": 0, "value": 2},
    "invalid chain id for signer: have 1 want 8996": {"nonce": 1, "chainId": 1},
    "intrinsic gas too low: gas 20000, minimum needed 21000": {"nonce": 1, "gas": 20_000},
    "exceeds block gas limit": {"nonce": 1, "gas": 60_000_001},
    "insufficient funds for gas \\* price \\+ value: balance": {"nonce": 1, "value": 10**25},
    "max fee per gas less than block base fee": {"nonce": 1, "maxFeePerGas": 0, "maxPriorityFeePerGas": 0},
    "max priority fee per gas higher than max fee per gas": {"nonce": 1, "maxPriorityFeePerGas": 11},
    "insufficient gas for floor data gas cost": {"nonce": 1, "gas": 38_000, "data": "0x" + "01" * 1_000},
}


@pytest.mark.parametrize("text", REFUSED)
def test_refusals_read_as_geths(chain: Any, text: str) -> None:
    chain.call("eth_sendRawTransaction", signed(chain))
    with pytest.raises(RpcFault, match=text) as caught:
        chain.call("eth_sendRawTransaction", signed(chain, **REFUSED[text]))
    assert caught.value.code == -32000


def test_the_same_transaction_again_is_already_known(chain: Any) -> None:
    chain.call("eth_sendRawTransaction", signed(chain))
    with pytest.raises(RpcFault, match="already known"):
        chain.call("eth_sendRawTransaction", signed(chain))


@pytest.mark.parametrize(
    "raw", ["0x", "0x00", "0xf8", "0x02c0", "0x03c0", "0x04c0", "0x7fc0", "0xzz", "c0", 5, None]
)
def test_nonsense_is_refused(chain: Any, raw: object) -> None:
    with pytest.raises(RpcFault):
        chain.call("eth_sendRawTransaction", raw)
    assert chain.call("eth_blockNumber") == "0x0"


def test_too_large_creation_code_is_refused(chain: Any) -> None:
    with pytest.raises(RpcFault, match="max initcode size exceeded"):
        chain.call("eth_sendRawTransaction", signed(chain, to="", data="0x" + "00" * 49_153, gas=5_000_000))


def test_code_over_24_kib_fails_on_the_chain(chain: Any) -> None:
    receipt = chain.send("0x6160015ff3")  # RETURN 24,577 bytes
    assert receipt["status"] == "0x0"
    assert chain.call("eth_getCode", receipt["contractAddress"]) == "0x"


def test_failed_transactions_are_mined_and_counted(chain: Any) -> None:
    address = chain.install("5f5ffd")
    receipt = chain.send(to=address)
    assert (receipt["status"], receipt["logs"]) == ("0x0", [])
    assert chain.call("eth_getTransactionCount", chain.accounts[0], "latest") == "0x2"


def test_without_gas_a_reverting_transaction_is_refused_with_its_reason(chain: Any) -> None:
    address = chain.install("5f5ffd")
    with pytest.raises(RpcFault, match="execution reverted") as caught:
        chain.call("eth_sendTransaction", {"from": chain.accounts[0], "to": address})
    assert (caught.value.code, caught.value.data) == (3, "0x")
    assert chain.call("eth_blockNumber") == "0x1"


def test_unlocked_accounts_send_every_type(chain: Any) -> None:
    to = {"from": chain.accounts[0], "to": chain.accounts[1], "value": "0x1"}
    listed = [{"address": chain.accounts[2], "storageKeys": []}]
    for extra, kind in (
        ({"gasPrice": "0x1"}, "0x0"),
        ({"gasPrice": "0x1", "accessList": listed}, "0x1"),
        ({}, "0x2"),
    ):
        tx_hash = chain.call("eth_sendTransaction", to | extra)
        assert chain.call("eth_getTransactionByHash", tx_hash)["type"] == kind


def test_foreign_accounts_and_chains_are_refused(chain: Any) -> None:
    with pytest.raises(RpcFault, match="unknown account"):
        chain.call("eth_sendTransaction", {"from": "0x" + "11" * 20})
    with pytest.raises(RpcFault, match="chainId does not match"):
        chain.call("eth_sendTransaction", {"from": chain.accounts[0], "chainId": "0x1"})


def test_sign_transaction_gives_what_send_raw_takes(chain: Any) -> None:
    answer = chain.call(
        "eth_signTransaction", {"from": chain.accounts[0], "to": chain.accounts[1], "value": "0x5"}
    )
    assert answer["tx"]["blockHash"] is None
    assert chain.call("eth_sendRawTransaction", answer["raw"]) == answer["tx"]["hash"]


def test_a_nonce_ahead_waits_for_the_gap_to_close(chain: Any) -> None:
    ahead = [chain.call("eth_sendRawTransaction", signed(chain, nonce=nonce)) for nonce in (2, 1)]
    for tx_hash in ahead:
        assert chain.call("eth_getTransactionReceipt", tx_hash) is None
        assert chain.call("eth_getTransactionByHash", tx_hash)["blockNumber"] is None
    assert chain.call("eth_blockNumber") == "0x0"
    chain.call("eth_sendRawTransaction", signed(chain, nonce=0))
    assert chain.call("eth_blockNumber") == "0x3"
    for tx_hash in ahead:
        assert chain.call("eth_getTransactionReceipt", tx_hash)["status"] == "0x1"


def test_one_sender_cannot_fill_the_waiting_room(chain: Any) -> None:
    for nonce in range(1, 65):
        chain.call("eth_sendRawTransaction", signed(chain, nonce=nonce))
    with pytest.raises(RpcFault, match="nonce too high"):
        chain.call("eth_sendRawTransaction", signed(chain, nonce=65))
    chain.call("eth_sendRawTransaction", signed(chain, nonce=5, value=2))  # a replacement still fits


def test_contract_addresses_follow_from_sender_and_nonce(chain: Any) -> None:
    chain.transfer()
    receipt = chain.send("0x5f5ff3")
    assert receipt["contractAddress"] == "0x" + created_address(bytes.fromhex(chain.accounts[0][2:]), 1).hex()
    assert receipt["to"] is None


@given(st.binary(min_size=20, max_size=20), st.integers(0, 2**64 - 1))
def test_created_addresses_are_the_hash_of_the_rlp(sender: bytes, nonce: int) -> None:
    assert created_address(sender, nonce) == keccak(rlp.encode([sender, nonce]))[12:]
