"""kill -9 at any moment: what was acknowledged is there afterwards, and index and state agree."""

from __future__ import annotations

import itertools
import json
import random
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from c2d_box.errors import Failed
from sandbox.testchain.json_rpc.callers import HttpRpc
from sandbox.testchain.json_rpc.rpc_errors import RpcFault
from sandbox.testchain.local_chain import LocalChain, start

RECEIVER = "0x" + "ab" * 20


def mint_data() -> str:
    """mint(RECEIVER, 1)"""
    return f"0x40c10f19{RECEIVER[2:]:0>64}{1:064x}"


def stream(chain: LocalChain, acknowledged: list[str]) -> None:
    """Mint one token after the other until the node is gone."""
    rpc = HttpRpc(chain.url)
    owner = rpc.call("eth_accounts")[0]
    request = {"from": owner, "to": chain.addresses["Ocean"], "data": mint_data(), "gas": hex(200_000)}
    try:
        while True:
            acknowledged.append(rpc.call("eth_sendTransaction", request))
    except (Failed, RpcFault):
        rpc.close()


def check(chain: LocalChain, acknowledged: list[str]) -> None:
    rpc = HttpRpc(chain.url)
    for tx_hash in acknowledged:
        assert rpc.call("eth_getTransactionReceipt", tx_hash)["status"] == "0x1"
    head = int(rpc.call("eth_blockNumber"), 16)
    blocks = [rpc.call("eth_getBlockByNumber", hex(number), False) for number in range(head + 1)]
    for parent, block in itertools.pairwise(blocks):
        assert block["parentHash"] == parent["hash"]
    owner = rpc.call("eth_accounts")[0]
    sent = sum(len(block["transactions"]) for block in blocks)
    assert int(rpc.call("eth_getTransactionCount", owner, "latest"), 16) == sent
    ocean = chain.addresses["Ocean"]
    topics = [None, None, f"0x{RECEIVER[2:]:0>64}"]
    logs = rpc.call("eth_getLogs", {"address": ocean, "topics": topics, "fromBlock": "0x0"})
    balance = rpc.call("eth_call", {"to": ocean, "data": f"0x70a08231{RECEIVER[2:]:0>64}"}, "latest")
    assert int(balance, 16) == len(logs)
    assert len(acknowledged) <= len(logs) <= len(acknowledged) + 5
    rpc.close()


def test_acknowledged_transactions_survive_kills(
    tmp_path: Path, request: pytest.FixtureRequest, seed: str
) -> None:
    rounds = 12 if request.config.getoption("--full") else 2
    moments = random.Random(seed)
    acknowledged: list[str] = []
    for _ in range(rounds):
        chain = start(tmp_path, tmp_path / "data")
        sender = threading.Thread(target=stream, args=(chain, acknowledged))
        sender.start()
        time.sleep(moments.uniform(0.3, 1.2))
        chain.kill()
        sender.join()
        chain = start(tmp_path, tmp_path / "data")
        check(chain, acknowledged)
        assert chain.stop() == 0
    assert acknowledged


def test_a_kill_while_contracts_are_deployed_changes_no_address(
    tmp_path: Path, request: pytest.FixtureRequest, seed: str
) -> None:
    config, ready = tmp_path / "config.json", tmp_path / "early.json"
    config.write_text(json.dumps({"listen": {"port": 0}, "dataDir": str(tmp_path / "data")}))
    moments = random.Random(seed)
    for _ in range(6 if request.config.getoption("--full") else 2):
        ready.unlink(missing_ok=True)
        command = [
            sys.executable,
            "-m",
            "sandbox.testchain",
            "--config",
            str(config),
            "--ready-file",
            str(ready),
        ]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while not ready.exists():
            time.sleep(0.005)
        time.sleep(moments.uniform(0.0, 0.25))
        process.kill()
        process.wait()
    chain = start(tmp_path, tmp_path / "data")
    addresses: dict[str, Any] = httpx.get(f"{chain.url}/address.json", trust_env=False).json()["development"]
    assert addresses["ERC721Factory"] == "0x336EFb3c9E56F713dFdA4CDB3Dd0882F3226b6eE"
    check(chain, [])
    chain.stop()
