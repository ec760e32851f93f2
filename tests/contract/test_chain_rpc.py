"""Our node against anvil: one scenario on both, answers compared field by field, and ethers 5 and 6 on ours.

anvil and ethers come through npm into a cache folder; without npm or network these tests are skipped.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from c2d_box.errors import C2DError
from sandbox.testchain.accounts import derive_accounts
from sandbox.testchain.deployment.anvil import AnvilProcess, install_anvil
from sandbox.testchain.json_rpc.callers import HttpRpc
from sandbox.testchain.json_rpc.rpc_errors import RpcFault
from sandbox.testchain.local_chain import LocalChain, running_chain
from sandbox.testchain.settings import BARGE_MNEMONIC, ChainNodeListen, ChainNodeSettings

GWEI = hex(10**9)
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "c2d-box" / "test-npm"
KEY = derive_accounts(BARGE_MNEMONIC, 20)[15].key

ONLY_ANVIL: dict[str, set[str]] = {
    "block": set(),
    "receipt": {"blobGasPrice", "blobGasUsed", "blockTimestamp"},
    "transaction": set(),
    "log": set(),
}
"""Fields that anvil adds to the execution API, or for blob transactions, which our node does not take."""
ONLY_OURS: dict[str, set[str]] = {
    "block": {"withdrawals", "withdrawalsRoot", "totalDifficulty"},
    "receipt": set(),
    "transaction": set(),
    "log": set(),
}


@pytest.fixture(scope="module")
def ours() -> Iterator[LocalChain]:
    with running_chain() as chain:
        yield chain


@pytest.fixture(scope="module")
def anvil(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AnvilProcess]:
    try:
        binary = install_anvil(CACHE)
    except C2DError as error:
        pytest.skip(str(error))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = ChainNodeSettings(listen=ChainNodeListen(port=port), data_dir=tmp_path_factory.mktemp("anvil"))
    node = AnvilProcess(binary, settings, port)
    try:
        node.wait_ready()
        yield node
    finally:
        node.stop()


@pytest.fixture(scope="module")
def nodes(ours: LocalChain, anvil: AnvilProcess) -> Iterator[tuple[HttpRpc, HttpRpc]]:
    anvil.deploy_contracts()
    with HttpRpc(ours.url) as first, HttpRpc(anvil.url) as second:
        yield first, second


def outcome(rpc: HttpRpc, method: str, *params: object) -> Any:
    """The result, or the error's code and data (not its words: those follow geth on ours)."""
    try:
        return rpc.call(method, *params)
    except RpcFault as fault:
        return {"code": fault.code, "data": fault.data}


def kind(value: object) -> str:
    """What a value looks like: null, quantity, data of a length, list, object."""
    if isinstance(value, str) and re.fullmatch(r"0x(0|[1-9a-f][0-9a-f]{0,15})", value):
        return "quantity"
    if isinstance(value, str) and re.fullmatch(r"0x([0-9a-f]{2})*", value):
        return f"data{len(value) // 2 - 1}" if len(value) > 20 else "data"
    return type(value).__name__


def same_shape(name: str, ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    assert set(ours) - ONLY_OURS[name] == set(theirs) - ONLY_ANVIL[name] - ONLY_OURS[name]
    for field in set(ours) & set(theirs) - {"r", "s"}:
        assert kind(ours[field]) == kind(theirs[field]), (name, field, ours[field], theirs[field])


def test_contracts_land_at_the_same_addresses(ours: LocalChain, anvil: AnvilProcess) -> None:
    assert anvil.deploy_contracts()["development"] == ours.addresses


def test_contracts_have_the_same_code(nodes: tuple[HttpRpc, HttpRpc], ours: LocalChain) -> None:
    section = ours.addresses
    flat = [v for value in section.values() for v in (value.values() if isinstance(value, dict) else [value])]
    for address in (entry for entry in flat if isinstance(entry, str)):
        first, second = (rpc.call("eth_getCode", address, "latest") for rpc in nodes)
        assert first == second != "0x"


@pytest.mark.parametrize(
    "extra",
    [
        {"gasPrice": GWEI},
        {"gasPrice": GWEI, "accessList": [{"address": "0x" + "22" * 20, "storageKeys": ["0x" + "00" * 32]}]},
        {"maxFeePerGas": GWEI, "maxPriorityFeePerGas": "0x1"},
    ],
)
def test_blocks_transactions_receipts_and_logs_look_alike(
    nodes: tuple[HttpRpc, HttpRpc], ours: LocalChain, extra: dict[str, Any]
) -> None:
    found = []
    for rpc in nodes:
        owner, other = rpc.call("eth_accounts")[:2]
        mint = f"0x40c10f19{other[2:]:0>64}{7:064x}".lower()
        request = {"from": owner, "to": ours.addresses["Ocean"], "data": mint, "gas": hex(200_000), **extra}
        receipt = _mined(rpc, rpc.call("eth_sendTransaction", request))
        tx = rpc.call("eth_getTransactionByHash", receipt["transactionHash"])
        block = rpc.call("eth_getBlockByHash", receipt["blockHash"], False)
        full = rpc.call("eth_getBlockByHash", receipt["blockHash"], True)
        assert full["transactions"] == [tx]
        assert rpc.call("eth_getBlockReceipts", receipt["blockNumber"]) == [receipt]
        found.append((receipt, tx, block))
    for name, first, second in zip(("receipt", "transaction", "block"), *found, strict=True):
        same_shape(name, first, second)
    same_shape("log", found[0][0]["logs"][0], found[1][0]["logs"][0])
    for field in ("gasUsed", "status", "type", "logsBloom", "contractAddress", "from", "to"):
        assert found[0][0][field] == found[1][0][field], field


def _mined(rpc: HttpRpc, tx_hash: str) -> dict[str, Any]:
    while (receipt := rpc.call("eth_getTransactionReceipt", tx_hash)) is None:
        pass
    result: dict[str, Any] = receipt
    return result


def _raw(nonce: int, **fields: object) -> str:
    from eth_account import Account

    tx = {"nonce": nonce, "gas": 21_000, "to": "0x" + "11" * 20, "value": 1, "chainId": 8996}
    signed = Account.sign_transaction(
        {**tx, "maxFeePerGas": 2 * 10**9, "maxPriorityFeePerGas": 1, **fields}, KEY
    )
    return "0x" + bytes(signed.raw_transaction).hex()


def test_the_same_raw_transaction_has_the_same_hash_and_body(nodes: tuple[HttpRpc, HttpRpc]) -> None:
    bodies = []
    for rpc in nodes:
        tx = _mined(rpc, rpc.call("eth_sendRawTransaction", _raw(0)))["transactionHash"]
        body = rpc.call("eth_getTransactionByHash", tx)
        bodies.append({k: v for k, v in body.items() if not k.startswith("block") and k != "gasPrice"})
    assert bodies[0] == bodies[1]


REQUESTS: list[tuple[Any, ...]] = [
    ("eth_chainId",),
    ("net_version",),
    ("net_listening",),
    ("eth_accounts",),
    ("eth_syncing",),
    ("web3_sha3", "0x68656c6c6f"),
    ("eth_getBlockByNumber", "0xffffff", False),
    ("eth_getBlockByHash", "0x" + "00" * 32, False),
    ("eth_getTransactionByHash", "0x" + "00" * 32),
    ("eth_getTransactionReceipt", "0x" + "00" * 32),
    ("eth_getCode", "0x" + "11" * 20, "latest"),
    ("eth_getStorageAt", "0x" + "11" * 20, "0x0", "latest"),
    ("eth_getTransactionCount", "0x" + "11" * 20, "pending"),
    (
        "eth_estimateGas",
        {"from": "0xe2dd09d719da89e5a3d0f2549c7e24566e947260", "to": "0x" + "22" * 20, "value": "0x1"},
    ),
    ("personal_sign", "0x68656c6c6f", "0xe2dd09d719da89e5a3d0f2549c7e24566e947260"),
    ("eth_sign", "0xe2dd09d719da89e5a3d0f2549c7e24566e947260", "0x68656c6c6f"),
    ("eth_noSuchMethod",),
    ("eth_getBalance",),
    ("eth_getBalance", "0x12", "latest"),
]


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda r: f"{r[0]}-{len(r)}")
def test_simple_requests_have_the_same_answer(
    nodes: tuple[HttpRpc, HttpRpc], request_: tuple[Any, ...]
) -> None:
    first, second = (outcome(rpc, *request_) for rpc in nodes)
    if isinstance(first, dict) and first.get("code"):
        assert first["code"] == second["code"]
    else:
        assert first == second


def test_reverts_have_the_same_code_and_data(nodes: tuple[HttpRpc, HttpRpc], ours: LocalChain) -> None:
    request = {
        "from": "0xbe5449a6a97ad46c8558a3356267ee5d2731ab5e",
        "to": ours.addresses["Ocean"],
        "data": f"0x40c10f19{1:064x}{7:064x}",
        "gasPrice": GWEI,
    }
    for method in ("eth_call", "eth_estimateGas"):
        first, second = (outcome(rpc, method, request) for rpc in nodes)
        assert first == second
        assert first["code"] == 3


@pytest.mark.parametrize(
    "criteria",
    [
        {"fromBlock": "0x0"},
        {"fromBlock": "0x0", "toBlock": "0x4"},
        {"fromBlock": "0x0", "topics": [None, "0x" + "00" * 32]},
        {
            "fromBlock": "0x0",
            "topics": [[], None, "0x" + "00" * 12 + "be5449a6a97ad46c8558a3356267ee5d2731ab5e"],
        },
        {"fromBlock": "earliest", "topics": []},
    ],
)
def test_logs_of_the_deployment_are_the_same(
    nodes: tuple[HttpRpc, HttpRpc], ours: LocalChain, criteria: dict[str, Any]
) -> None:
    limited = {"toBlock": hex(ours.addresses["startBlock"] + 10)} | criteria
    first, second = (
        [
            (log["address"], log["topics"], log["data"], log["blockNumber"])
            for log in rpc.call("eth_getLogs", limited)
        ]
        for rpc in nodes
    )
    assert first == second


def test_time_travel_looks_alike(nodes: tuple[HttpRpc, HttpRpc]) -> None:
    for rpc in nodes:
        snapshot = rpc.call("evm_snapshot")
        before = rpc.call("eth_blockNumber")
        assert kind(snapshot) == "quantity"
        rpc.call("evm_increaseTime", 1_000)
        rpc.call("evm_mine")
        assert rpc.call("evm_revert", snapshot) is True
        assert rpc.call("eth_blockNumber") == before
        assert rpc.call("evm_revert", snapshot) is False


@pytest.mark.parametrize("version", [5, 6])
def test_ethers_works_against_our_node(ours: LocalChain, version: int, tmp_path: Path) -> None:
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        pytest.skip("node and npm are not on PATH")
    if not (CACHE / "node_modules" / f"ethers{version}").exists():
        wanted = [f"ethers{number}@npm:ethers@{number}" for number in (5, 6)]
        command = [npm, "install", "--no-audit", "--no-fund", "--prefix", str(CACHE), *wanted]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("npm could not fetch ethers")
    script = Path(__file__).parent / "chain" / f"ethers{version}.cjs"
    addresses = json.dumps(ours.addresses)
    environment = {**os.environ, "NODE_PATH": str(CACHE / "node_modules")}
    done = subprocess.run(
        [node, str(script), ours.url, addresses],
        capture_output=True,
        text=True,
        env=environment,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result == {
        "chainId": 8996,
        "status": 1,
        "type": 2,
        "reason": "Ownable: caller is not the owner",
        "estimateReason": "Ownable: caller is not the owner",
        "name": "Ethers",
        "events": 1,
        "recovered": "0xBE5449a6A97aD46c8558A3356267Ee5D2731ab5e",
        "typed": "0xBE5449a6A97aD46c8558A3356267Ee5D2731ab5e",
        "polled": True,
    }
