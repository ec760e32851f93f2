"""Waits for new blocks: by a long poll where the node offers one (the box's chain does), else by polling at
intervals."""

from __future__ import annotations

import asyncio

import httpx

from c2d_box.chain import Chain
from c2d_box.chain.addresses import CONNECT_SECONDS
from c2d_box.strict_json import parse_json

_WAIT = 10
"""Seconds that the node is asked to hold a long poll."""


class HeadWatcher:
    """Waits for the chain's head to change. A node that turns out to have no long poll is never asked for one
    again."""

    def __init__(self, client: httpx.AsyncClient, chain: Chain, rpc_url: str, poll_seconds: float) -> None:
        self._client = client
        self._chain = chain
        # A route of the box's own chain; other nodes have none.
        self._url = rpc_url.rstrip("/") + "/c2d/head"
        self._poll = poll_seconds
        self._long = True

    async def wait_for_head(self, number: int) -> int:
        """Return the head's number once it is no longer ``number``, or after a while in any case."""
        if self._long:
            try:
                return await self._long_poll(number)
            # The node is away or restarts; the long poll is tried again next time.
            except httpx.HTTPError:
                await asyncio.sleep(self._poll)
                return await asyncio.to_thread(self._chain.latest_block)
            # The node has answered and does not know the route. That does not change, so it is not asked
            # again.
            except ValueError:
                self._long = False
        await asyncio.sleep(self._poll)
        return await asyncio.to_thread(self._chain.latest_block)

    async def _long_poll(self, number: int) -> int:
        """Ask the node to answer once its head is no longer ``number``. Raise HTTPError where it is away,
        ValueError where it has no such route."""
        answer = await self._client.get(
            self._url,
            params={"after": number, "timeout": _WAIT},
            # Longer than the poll itself, or each quiet period would count as an outage.
            timeout=httpx.Timeout(_WAIT + 10, connect=CONNECT_SECONDS),
        )
        # A gateway in front of the node, while the node restarts.
        if answer.status_code in (502, 503, 504):
            raise httpx.TransportError("the node is not ready")
        body = parse_json(answer.content) if answer.status_code == 200 else None
        if not isinstance(body, dict) or "number" not in body:
            raise ValueError("this node has no long poll")
        value = body["number"]
        # Hexadecimal text as in JSON-RPC, or a number.
        return int(value, 16) if isinstance(value, str) else int(value)
