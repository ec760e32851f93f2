"""Relays the register container's calls to chain and Provider: its pod reaches only the engine and the
result store.

It holds the key that mints and no address of a file; the engine knows where the results are and holds no such
key. So files and documents are sealed here, by the Provider, and the chain is spoken to through a short list
of methods.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx

from c2d_box.assets import results
from c2d_box.assets.files import ResultFile, files_document
from c2d_box.operator_engine.settings import RegistrationSettings
from c2d_box.strict_json import WRAPPED, parse_json
from c2d_box.workflow.resource import JobResult, WorkFlow

# Those that reading the chain and sending a signed transaction need. None of them lets the chain's node sign
# with an account of its own, as eth_sendTransaction would.
METHODS = frozenset(
    {
        "eth_blockNumber",
        "eth_call",
        "eth_chainId",
        "eth_estimateGas",
        "eth_gasPrice",
        "eth_getBlockByNumber",
        "eth_getTransactionByHash",
        "eth_getTransactionCount",
        "eth_getTransactionReceipt",
        "eth_maxPriorityFeePerGas",
        "eth_sendRawTransaction",
    }
)


class RelayTargetAway(Exception):
    """Raised where chain, Provider or address file do not answer now; asking again may help."""


class RegisterRelay:
    """Client of chain and Provider on behalf of the register container."""

    def __init__(self, where: RegistrationSettings, secret: str) -> None:
        """``secret`` is shared with the Provider, for the proof that an asset may show a result."""
        self._where = where
        self._secret = secret
        # Targets are the operator's own settings, reached directly and not
        # through a proxy of the environment.
        self._client = httpx.AsyncClient(trust_env=False, timeout=httpx.Timeout(30.0, connect=5.0))
        self._addresses: dict[str, Any] | None = None

    async def close(self) -> None:
        """Close the client's connections."""
        await self._client.aclose()

    async def order(self, workflow: WorkFlow) -> dict[str, Any]:
        """Return everything the register container has to know; raises RelayTargetAway."""
        asset = workflow.status.asset or {}
        return {
            "chainId": self._where.chain.id,
            "addresses": await self._address_file(),
            "provider": self._where.public_url,
            "owner": workflow.spec.owner,
            "publish": dict(workflow.publish or {}),
            "origin": _origin(workflow),
            # Those already on record: a register container that starts again sends them instead of new ones.
            "transactions": dict(asset.get("transactions") or {}),
        }

    async def rpc(self, body: Any) -> Any:
        """Relay a JSON-RPC call, or a list of them. Raises RelayTargetAway; ValueError for a method that is
        not relayed.
        """
        # A batch is refused as a whole, so that a forbidden call cannot hide in one.
        for call in body if isinstance(body, list) else [body]:
            if not isinstance(call, dict) or call.get("method") not in METHODS:
                raise ValueError("this method is not relayed")
        answer = await self._post(self._where.chain.rpc_url, json=body)
        # The answer comes from a chain's node of somebody else, so it passes the strict parser with the
        # limits for wrapped content.
        return parse_json(answer.content, WRAPPED)

    async def seal_files(self, workflow: WorkFlow, nft: str, datatoken: str) -> str:
        """Return the outputs as a files document, encrypted by the Provider.

        The document goes onto a chain, where it stays: so it holds addresses in the store and no key.
        """
        # Outputs alone: logs and the evidence record are the owner's and do not become part of the asset.
        files = [
            self._file(workflow.job, result, nft, datatoken)
            for result in workflow.status.results or ()
            if result.type == "output"
        ]
        return await self.seal(files_document(nft, datatoken, files))

    async def seal(self, content: bytes) -> str:
        """Have the Provider encrypt ``content`` for itself; return 0x and hex."""
        url = f"{self._where.provider_url.rstrip('/')}/api/services/encrypt"
        answer = await self._post(
            url,
            content=content,
            params={"chainId": str(self._where.chain.id)},
            headers={"Content-Type": "application/octet-stream"},
        )
        return answer.text

    def _file(self, job: str, result: JobResult, nft: str, datatoken: str) -> ResultFile:
        """Return a result as the asset's file: its place, and the proof that this asset may show it."""
        said = {"nft": nft, "datatoken": datatoken, "job": job, "place": result.url}
        return ResultFile(**said, proof=results.result_proof(self._secret, **said))

    async def _address_file(self) -> dict[str, Any]:
        """Return the contracts' addresses from a file or a URL, read once: they do
        not change while a chain lives.
        """
        if self._addresses is None:
            source = self._where.chain.address_file
            if source.startswith("http"):
                found = parse_json((await self._send("GET", source)).content)
            else:
                found = parse_json(await asyncio.to_thread(Path(source).read_bytes))
            self._addresses = found
        return self._addresses or {}

    async def _post(self, url: str, **parts: Any) -> httpx.Response:
        return await self._send("POST", url, **parts)

    async def _send(self, method: str, url: str, **parts: Any) -> httpx.Response:
        try:
            answer = await self._client.request(method, url, **parts)
        except httpx.HTTPError as error:
            # The type only: an RPC provider's URL often holds a key.
            raise RelayTargetAway(type(error).__name__) from error
        if answer.status_code not in (200, 201):
            raise RelayTargetAway(f"status {answer.status_code}")
        return answer


def _origin(workflow: WorkFlow) -> dict[str, Any]:
    """Return the asset's origin, which becomes part of its description."""
    return {
        "job": workflow.job,
        "datasets": [entry.id for entry in workflow.stage.input],
        "algorithm": workflow.stage.algorithm.id or "",
        "environment": workflow.spec.environment,
    }
