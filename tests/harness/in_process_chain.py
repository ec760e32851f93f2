"""A chain with Ocean's contracts, pools included, inside the test's own process: no server, no port.

For tests that make thousands of transactions.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from web3 import HTTPProvider

from c2d_box.chain import Chain, addresses
from sandbox.testchain.deployment.deploy import deploy_contracts
from sandbox.testchain.json_rpc.callers import LocalRpc
from sandbox.testchain.json_rpc.rpc_errors import RpcFault
from sandbox.testchain.node import open_node
from sandbox.testchain.settings import BARGE_MNEMONIC, ChainNodeSettings
from tests.harness.pool_contracts import pool_contracts

ENOUGH = 8_000_000


class InProcess(HTTPProvider):
    """A web3 provider that answers as the node's server does, batches too. It answers ``ENOUGH`` to every gas
    estimate, as estimating takes two thirds of a transaction's time: what would revert does so in its block.
    """

    def __init__(self, rpc: LocalRpc) -> None:
        super().__init__("http://in-process.test")
        self._rpc = rpc

    def make_request(self, method: Any, params: Any) -> Any:
        if method == "eth_estimateGas":
            return {"jsonrpc": "2.0", "id": 1, "result": hex(ENOUGH)}
        try:
            return {"jsonrpc": "2.0", "id": 1, "result": self._rpc.call(str(method), *params)}
        except RpcFault as fault:
            return {"jsonrpc": "2.0", "id": 1, "error": fault.as_dict()}

    def make_batch_request(self, batch_requests: Any) -> Any:
        return [self.make_request(method, params) for method, params in batch_requests]


@contextmanager
def chain_in(folder: Path) -> Iterator[Chain]:
    """Run the chain, with its state in ``folder``."""
    node = open_node(ChainNodeSettings(data_dir=folder / "chain"))
    try:
        rpc = LocalRpc(node)
        document = deploy_contracts(rpc, BARGE_MNEMONIC, 0, pool_contracts())
        yield Chain(InProcess(rpc), addresses.parse_addresses(document, 8996))
    finally:
        node.store.close()
