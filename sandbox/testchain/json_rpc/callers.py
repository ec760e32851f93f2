"""JSON-RPC callers: over HTTP, and straight into a node of this process. Both satisfy
``deploy.RpcCaller``."""

from __future__ import annotations

import json
from typing import Any, Self

import httpx

from c2d_box.errors import Failed
from sandbox.testchain.json_rpc.rpc_errors import RpcFault
from sandbox.testchain.methods import METHODS
from sandbox.testchain.node import ChainNode
from sandbox.testchain.storage.chain_index import RawJson


class HttpRpc:
    """A node at ``url``, called over HTTP."""

    def __init__(self, url: str, timeout: float = 60.0) -> None:
        self._client = httpx.Client(base_url=url, timeout=timeout, trust_env=False)

    # One request at a time with a fixed id: answers need no matching.
    def call(self, method: str, *params: object) -> Any:
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        try:
            response = self._client.post("", json=request)
            response.raise_for_status()
            answer = response.json()
        except (httpx.HTTPError, ValueError) as error:
            raise Failed(
                "C2D-CHAIN-UNREACHABLE",
                f"{self._client.base_url} does not answer JSON-RPC: {error}",
                "Is the node running there?",
            ) from error
        # The node's own refusal keeps its code and words: the deployer reports them.
        if "error" in answer:
            fault = answer["error"]
            raise RpcFault(fault.get("code", 0), fault.get("message", ""), fault.get("data"))
        return answer["result"]

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class LocalRpc:
    """A node in this process, called on the caller's thread: nobody else may be writing to it."""

    def __init__(self, node: ChainNode) -> None:
        self._node = node

    def call(self, method: str, *params: object) -> Any:
        result = METHODS[method](self._node, params)
        # Stored answers are JSON text; a caller over HTTP would have parsed it.
        return json.loads(result) if isinstance(result, RawJson) else result
