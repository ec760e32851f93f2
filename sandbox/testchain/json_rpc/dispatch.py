"""JSON-RPC 2.0 over bytes: single requests, batches, notifications, and an error object for everything
wrong.

Reading methods run beside each other on a few threads, writing ones alone on the ledger's. Within a batch
the order is kept: a run of requests of one kind is one hop to that kind's threads.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

from c2d_box.strict_json import JsonLimits, JsonRefused, parse_json
from sandbox.testchain.json_rpc import rpc_errors
from sandbox.testchain.json_rpc.rpc_errors import RpcFault
from sandbox.testchain.methods import METHODS, Lane, Method
from sandbox.testchain.node import ChainNode
from sandbox.testchain.storage.chain_index import RawJson

log = logging.getLogger("c2d.testchain")


@dataclass(frozen=True, slots=True)
class RpcRequest:
    """One parsed request; ``fault`` is set instead of ``method`` when it cannot be answered."""

    id: object
    method: Method | None
    params: Sequence[object]
    fault: RpcFault | None = None
    wants_answer: bool = True

    @property
    def lane(self) -> Lane:
        """The threads that answer this request; a faulty one touches nothing and goes with the readers."""
        return self.method.lane if self.method else Lane.READ


class RpcDispatcher:
    """Answers the bodies of JSON-RPC requests; each method runs on the threads of its kind."""

    def __init__(self, node: ChainNode, readers: Executor, writer: Executor) -> None:
        self._node = node
        self._executors = {Lane.READ: readers, Lane.WRITE: writer}

    async def answer_body(self, body: bytes) -> bytes:
        """The response body; empty when there were only notifications."""
        try:
            # Depth and size are bounded: a body of brackets must not end in a stack overflow.
            message = parse_json(body, JsonLimits(size_bytes=self._node.settings.body_limit))
        except JsonRefused:
            return _failure_text(None, RpcFault(rpc_errors.PARSE_ERROR, "parse error")).encode()
        if isinstance(message, list):
            return (await self._answer_batch(message)).encode()
        return "".join(await self._run_requests([parse_request(message)])).encode()

    async def _answer_batch(self, messages: list[object]) -> str:
        if not messages:
            return _failure_text(None, RpcFault(rpc_errors.INVALID_REQUEST, "empty batch"))
        # One body could otherwise occupy the threads of its kind for very long.
        if len(messages) > self._node.settings.batch_limit:
            return _failure_text(None, RpcFault(rpc_errors.INVALID_REQUEST, "batch too large"))
        requests = [parse_request(message) for message in messages]
        answers: list[str] = []
        # Groups of neighbours: a read after a write in one batch sees what was written.
        for _, run in itertools.groupby(requests, key=lambda request: request.lane):
            answers += await self._run_requests(list(run))
        # JSON-RPC: a batch of notifications alone has no answer at all, not an empty list.
        return f"[{','.join(answers)}]" if answers else ""

    async def _run_requests(self, requests: list[RpcRequest]) -> list[str]:
        """Answer requests of one kind, reading or writing, in order."""
        work: Callable[[], list[str]] = lambda: [  # noqa: E731
            text for request in requests for text in (self._answer_request(request),) if request.wants_answer
        ]
        return await asyncio.get_running_loop().run_in_executor(self._executors[requests[0].lane], work)

    def _answer_request(self, request: RpcRequest) -> str:
        if request.method is None:
            assert request.fault is not None
            return _failure_text(request.id, request.fault)
        try:
            return _success_text(request.id, request.method(self._node, request.params))
        except RpcFault as fault:
            # A failure of one request is an answer; the others of its batch go on.
            return _failure_text(request.id, fault)
        except Exception:
            # The caller gets no details: they are a fault of ours, and stand in the log.
            log.exception("%s failed", request.method.name)
            return _failure_text(request.id, RpcFault(rpc_errors.INTERNAL, "internal error"))


def parse_request(message: object) -> RpcRequest:
    """Parse one request out of the decoded JSON."""
    if not isinstance(message, dict):
        return RpcRequest(None, None, (), RpcFault(rpc_errors.INVALID_REQUEST, "invalid request"))
    identity = message.get("id")
    name, params = message.get("method"), message.get("params")
    # Clients that leave "jsonrpc" out are served all the same.
    if (
        not isinstance(name, str)
        or isinstance(identity, (dict, list))
        or message.get("jsonrpc", "2.0") != "2.0"
    ):
        # A list or object is no id and cannot be echoed.
        identity = None if isinstance(identity, (dict, list)) else identity
        return RpcRequest(identity, None, (), RpcFault(rpc_errors.INVALID_REQUEST, "invalid request"))
    # Without an id it is a notification: run, and not answered. An id of null is answered.
    wants_answer = "id" in message
    if params is not None and not isinstance(params, list):
        fault = rpc_errors.invalid_params("non-array args")
        return RpcRequest(identity, None, (), fault, wants_answer)
    method = METHODS.get(name)
    if method is None:
        fault = RpcFault(rpc_errors.METHOD_NOT_FOUND, f"the method {name} does not exist/is not available")
        return RpcRequest(identity, None, (), fault, wants_answer)
    return RpcRequest(identity, method, _without_trailing_nulls(params or []), None, wants_answer)


def _without_trailing_nulls(params: list[object]) -> list[object]:
    """Drop nulls at the end: optional parameters may be given as null."""
    end = len(params)
    while end and params[end - 1] is None:
        end -= 1
    return params[:end]


def _success_text(identity: object, result: Any) -> str:
    """Return the response object for a result, as text."""
    # Stored JSON is put in as it is: parsing a large block to print it again would cost most of the time.
    text = result if isinstance(result, RawJson) else json.dumps(result, separators=(",", ":"))
    return f'{{"jsonrpc":"2.0","id":{json.dumps(identity)},"result":{text}}}'


def _failure_text(identity: object, fault: RpcFault) -> str:
    """Return the response object for a fault, as text."""
    error = json.dumps(fault.as_dict(), separators=(",", ":"))
    return f'{{"jsonrpc":"2.0","id":{json.dumps(identity)},"error":{error}}}'
