"""The HTTP side of the chain: JSON-RPC at ``/``, the address file, health, and the long poll for new
blocks.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from c2d_box.files import replace_file
from c2d_box.service.request_body import BodyRefused, answer_refused_body, read_body
from sandbox.testchain import request_guard
from sandbox.testchain.deployment.deploy import deploy_contracts
from sandbox.testchain.head_notifier import HeadNotifier
from sandbox.testchain.json_rpc.callers import LocalRpc
from sandbox.testchain.json_rpc.dispatch import RpcDispatcher
from sandbox.testchain.node import ChainNode

log = logging.getLogger("c2d.testchain")
# Reading is CPU work under the interpreter's lock: more threads would not read faster.
READERS = 4
# Proxies and clients give up on a silent connection after about a minute.
_MAX_POLL_SECONDS = 60.0
# A run of EVM code cannot be interrupted; beyond this the process ends without it.
_STOP_SECONDS = 1.0
Handler = Callable[[Request], Awaitable[Response]]


class NodeServer:
    """The application around one open node. It owns the threads; closing the node is the caller's."""

    def __init__(self, node: ChainNode) -> None:
        self.node = node
        self.addresses: dict[str, Any] | None = None
        # Why the deployment failed; the server goes on answering with it.
        self.failure: str | None = None
        self.busy = False
        """True after the stop while a computation is still running, so that the threads cannot be joined."""
        # One thread, so that blocks are made one after the other without a lock.
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="ledger")
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="reader")
        self._dispatcher = RpcDispatcher(node, self._readers, self._writer)
        self._heads: HeadNotifier | None = None
        # asyncio keeps weak references to tasks only: without this one the deployment could be collected.
        self._background: set[asyncio.Task[None]] = set()

    def build_app(self) -> Starlette:
        """Return the application. Health routes have no guard: a kubelet names the pod's address as host."""
        return Starlette(
            routes=[
                Route("/", self._guard_handler(self._handle_rpc), methods=["POST"]),
                Route("/", self._guard_handler(self._handle_preflight), methods=["OPTIONS"]),
                Route("/address.json", self._guard_handler(self._handle_address_file)),
                Route("/c2d/head", self._guard_handler(self._handle_head)),
                Route("/livez", self._handle_live),
                Route("/readyz", self._handle_health),
                Route("/healthz", self._handle_health),
            ],
            lifespan=self._lifespan,
        )

    def let_go(self) -> None:
        """End all long polls, so that a stop need not wait for them."""
        if self._heads is not None:
            self._heads.close()

    @asynccontextmanager
    async def _lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        loop = asyncio.get_running_loop()
        self._heads = HeadNotifier(loop, lambda: self.node.ledger.head)
        self.node.ledger.add_listener(self._heads.head_moved)
        # In the background: health and liveness answer while the contracts are deployed.
        task = asyncio.create_task(self._prepare_contracts())
        self._background.add(task)
        try:
            yield
        finally:
            self.let_go()
            # Off the loop, which still has to send the last answers.
            self.busy = await asyncio.to_thread(self._still_busy)

    def _still_busy(self) -> bool:
        """End the threads; True if one is inside a computation that does not end soon."""
        # Joining an executor has no timeout, so another thread joins and this one watches it.
        ending = threading.Thread(target=self._end_threads, daemon=True)
        ending.start()
        ending.join(_STOP_SECONDS)
        return ending.is_alive()

    def _end_threads(self) -> None:
        for executor in (self._writer, self._readers):
            executor.shutdown(wait=False, cancel_futures=True)
        for executor in (self._writer, self._readers):
            executor.shutdown()

    async def _prepare_contracts(self) -> None:
        """Deploy what is missing, on the ledger's thread; remember addresses or failure."""
        try:
            loop = asyncio.get_running_loop()
            self.addresses = await loop.run_in_executor(self._writer, self._recall_or_deploy)
        except Exception as error:
            self.failure = str(error)
            log.exception("deploying the contracts failed")

    def _recall_or_deploy(self) -> dict[str, Any]:
        """Return the address file: remembered from the first start, or made by deploying now."""
        if not self.node.settings.deploy_contracts:
            return {}
        settings = self.node.settings
        addresses: dict[str, Any] = json.loads(self.node.ledger.meta("addresses") or "{}")
        # A chain from before the pools has one section; it gets the second one now.
        wanted = 1 if settings.pool_contracts is None else 2
        if len(addresses) < wanted:
            addresses = deploy_contracts(LocalRpc(self.node), settings.mnemonic, 0, settings.pool_contracts)
            self.node.ledger.write_meta("addresses", json.dumps(addresses))
            log.info("deployed Ocean's contracts up to block %d", self.node.ledger.head.number)
        # Written on every start: the file may have been deleted, the database has the truth.
        replace_file(self.node.settings.data_dir / "address.json", json.dumps(addresses, indent=2) + "\n")
        return addresses

    def _guard_handler(self, handler: Handler) -> Handler:
        """Return ``handler`` behind the guard; CORS headers go onto refusals too, so that a listed page
        can read them."""
        settings = self.node.settings

        async def guarded(request: Request) -> Response:
            refused = request_guard.caller_refusal(request, settings)
            response = refused if refused is not None else await handler(request)
            response.headers.update(request_guard.cors_headers(request, settings))
            return response

        return guarded

    async def _handle_rpc(self, request: Request) -> Response:
        """Answer JSON-RPC; a body above the limit is refused before it is read whole."""
        wrong = request_guard.content_refusal(request)
        if wrong is not None:
            return wrong
        try:
            body = await read_body(request, self.node.settings.body_limit)
        except BodyRefused as refused:
            return await answer_refused_body(request, refused)
        return Response(await self._dispatcher.answer_body(body), media_type="application/json")

    async def _handle_preflight(self, _request: Request) -> Response:
        """Answer a CORS preflight; the headers that decide come from the guard."""
        return Response(status_code=204)

    async def _handle_address_file(self, _request: Request) -> Response:
        """Answer the address file; 503 until the contracts are there, with the reason if that failed."""
        if self.addresses is None:
            return JSONResponse({"error": self.failure or "contracts are being deployed"}, 503)
        return JSONResponse(self.addresses)

    async def _handle_live(self, _request: Request) -> Response:
        """Answer whether the chain is live: a deployment that failed is not tried again by this process."""
        # A failed deployment needs a restart, which is what failing liveness asks Kubernetes for.
        return JSONResponse({"live": self.failure is None}, 200 if self.failure is None else 503)

    async def _handle_health(self, _request: Request) -> Response:
        """Answer whether the contracts are deployed, which is when clients can use the chain."""
        if self.addresses is None:
            return JSONResponse({"ready": False, "error": self.failure}, 503)
        return JSONResponse({"ready": True, "block": self.node.ledger.head.number})

    async def _handle_head(self, request: Request) -> Response:
        """Answer ``?after=N&timeout=S`` when the head is no longer N, at the latest after S seconds."""
        assert self._heads is not None
        try:
            after = int(request.query_params.get("after", "-1"))
            patience = float(request.query_params.get("timeout", "25"))
        except ValueError:
            # NaN fails the comparison below, so both kinds of nonsense have one refusal.
            patience = math.nan
        if not 0 <= patience < math.inf:
            return JSONResponse({"error": "after and timeout are numbers"}, 400)
        head = await self._heads.wait_after(after, min(patience, _MAX_POLL_SECONDS))
        return JSONResponse(
            {"number": head.number, "hash": f"0x{head.hash.hex()}", "timestamp": head.timestamp}
        )
