"""Nodes to test against: fresh and empty ones, and one with Ocean's contracts for all tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.testchain.deployment.contract_plans import load_artifact
from sandbox.testchain.deployment.deploy import deploy_contracts
from sandbox.testchain.execution.chain_clock import ChainClock
from sandbox.testchain.json_rpc.callers import LocalRpc
from sandbox.testchain.node import ChainNode, open_node
from sandbox.testchain.settings import BARGE_MNEMONIC, ChainNodeSettings


class WallTime:
    """A wall clock that only moves when told."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class NodeRig:
    """A node with short ways to do what tests do."""

    def __init__(self, node: ChainNode, wall: WallTime) -> None:
        self.node = node
        self.wall = wall
        self.rpc = LocalRpc(node)
        self.accounts: list[str] = self.call("eth_accounts")

    def call(self, method: str, *params: object) -> Any:
        return self.rpc.call(method, *params)

    def send(
        self, data: str = "0x", to: str | None = None, sender: int = 0, **fields: object
    ) -> dict[str, Any]:
        """Send with gas given (so that failures are mined too); returns the receipt."""
        request = {"from": self.accounts[sender], "data": data, "gas": hex(5_000_000), **fields}
        if to is not None:
            request["to"] = to
        receipt: dict[str, Any] = self.call(
            "eth_getTransactionReceipt", self.call("eth_sendTransaction", request)
        )
        return receipt

    def install(self, runtime: str) -> str:
        """Deploy hand-written runtime code; returns its address."""
        size = f"{len(runtime) // 2:04x}"
        receipt = self.send(f"0x61{size}600e5f3961{size}5ff3".ljust(2 + 28, "0") + runtime)
        assert receipt["status"] == "0x1"
        return str(receipt["contractAddress"])

    def transfer(self, value: int = 1, to: int = 1, sender: int = 0, **fields: Any) -> dict[str, Any]:
        return self.send(to=self.accounts[to], sender=sender, value=hex(value), **fields)


@pytest.fixture
def wall() -> WallTime:
    return WallTime()


@pytest.fixture
def chain(tmp_path: Path, wall: WallTime) -> Iterator[NodeRig]:
    """A new chain without Ocean's contracts."""
    node = open_node(ChainNodeSettings(data_dir=tmp_path / "chain"), ChainClock(wall))
    yield NodeRig(node, wall)
    node.store.close()


@pytest.fixture(scope="session")
def ocean(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[NodeRig, dict[str, Any]]]:
    """A chain with Ocean's contracts, shared: tests may send to it but must not rely on block numbers."""
    wall = WallTime()
    node = open_node(ChainNodeSettings(data_dir=tmp_path_factory.mktemp("ocean") / "chain"), ChainClock(wall))
    addresses = deploy_contracts(LocalRpc(node), BARGE_MNEMONIC)
    yield NodeRig(node, wall), addresses["development"]
    node.store.close()


@pytest.fixture(scope="session")
def encode_call() -> Callable[..., str]:
    """Call data for one of Ocean's contracts: ``encode_call("OceanToken", "mint", to, amount)``."""
    from eth_abi.abi import encode
    from eth_hash.auto import keccak

    def encoded(artifact: str, function: str, *arguments: object) -> str:
        entry = next(e for e in load_artifact(artifact)["abi"] if e.get("name") == function)
        kinds = [argument["type"] for argument in entry["inputs"]]
        selector = keccak(f"{function}({','.join(kinds)})".encode())[:4]
        return "0x" + (selector + encode(kinds, arguments)).hex()

    return encoded
