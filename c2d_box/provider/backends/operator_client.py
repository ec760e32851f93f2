"""The client of operator-service. Every call carries two signatures of this Provider: the reference's
(over owner, job and nonce) and ours, which covers method, target and body, so that a captured call cannot
become another one.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import httpx

from c2d_box.provider.secrets import ProviderKey
from c2d_box.strict_json import WRAPPED, parse_json

READY_SECONDS = 2.0
"""The seconds within which a readiness probe is answered."""
_PREFIX = "/api/v1/operator"


class OperatorUnavailable(Exception):
    """operator-service does not answer."""


@dataclass(frozen=True)
class OperatorAnswer:
    """An answer of operator-service, to be handed through to the Provider's caller."""

    status: int
    body: Any


@dataclass(frozen=True)
class JobEvent:
    """A change of a job's status, from operator-service's event stream."""

    job: str
    status: int
    finished: bool


class OperatorClient:
    """Calls operator-service. Methods raise OperatorUnavailable when it does not answer; its refusals are
    answers, not exceptions."""

    def __init__(self, client: httpx.AsyncClient, base_url: str, key: ProviderKey) -> None:
        self._client = client
        self._base = base_url.rstrip("/") + _PREFIX
        self._key = key
        self._last_nonce = 0
        self._lock = threading.Lock()

    async def is_ready(self) -> bool:
        """Return whether operator-service answers now, for readiness reports."""
        try:
            answer = await self._client.get(self._base.removesuffix(_PREFIX) + "/", timeout=READY_SECONDS)
        except httpx.HTTPError:
            return False
        return answer.is_success

    async def start_job(self, payload: Mapping[str, Any]) -> OperatorAnswer:
        """Start a job. ``payload`` comes without signature and nonce, which are added here."""
        nonce = self._next_nonce()
        body = {
            **payload,
            # The reference's signature covers owner and nonce only. ``_build_request`` adds the one over
            # everything.
            "providerSignature": self._key.sign(f"{payload['owner']}{nonce}"),
            "nonce": nonce,
            "providerAddress": self._key.address,
        }
        return await self._request_json("POST", "/compute", body=body)

    async def job_status(self, owner: str, job: str | None, chain_id: int) -> OperatorAnswer:
        """Return an owner's jobs, or the one job. ``job`` is None for all."""
        return await self._request_json(
            "GET", "/compute", self._signed_query(owner, job, chainId=str(chain_id))
        )

    async def stop_job(self, owner: str, job: str | None, chain_id: int) -> OperatorAnswer:
        """Ask for the stop of an owner's job; it ends a moment later."""
        return await self._request_json(
            "PUT", "/compute", self._signed_query(owner, job, chainId=str(chain_id))
        )

    async def delete_job(self, owner: str, job: str | None, chain_id: int) -> OperatorAnswer:
        """Ask for the deletion of an owner's job."""
        return await self._request_json(
            "DELETE", "/compute", self._signed_query(owner, job, chainId=str(chain_id))
        )

    async def list_environments(self, chain_id: int) -> list[dict[str, Any]]:
        """Return the environments of a chain. An answer of another shape counts as an outage, since
        nothing can be concluded from it."""
        answer = await self._request_json("GET", "/environments", {"chainId": str(chain_id)})
        if answer.status != 200 or not isinstance(answer.body, list):
            raise OperatorUnavailable
        return [entry for entry in answer.body if isinstance(entry, dict) and entry.get("id")]

    async def open_result(self, owner: str, job: str, index: str, byte_range: str | None) -> httpx.Response:
        """Return an open streamed answer, which the caller has to close."""
        # Handed on as the client wrote it; the operator-service judges it.
        headers = {"Range": byte_range} if byte_range else {}
        request = self._build_request(
            "GET", "/getResult", self._signed_query(owner, job, index=index), headers=headers
        )
        try:
            return await self._client.send(request, stream=True)
        except httpx.HTTPError:
            raise OperatorUnavailable from None

    async def open_logs(self, owner: str, job: str, component: str, *, follow: bool) -> httpx.Response:
        """Return an open streamed answer, which the caller has to close. The call may last until the job
        writes something."""
        query = self._signed_query(owner, job, component=component, **({"follow": "true"} if follow else {}))
        # No read timeout: a job may print nothing for hours.
        request = self._build_request("GET", "/logs", query, timeout=httpx.Timeout(10.0, read=None))
        try:
            return await self._client.send(request, stream=True)
        except httpx.HTTPError:
            raise OperatorUnavailable from None

    async def job_events(self) -> AsyncIterator[JobEvent]:
        """Yield status changes as they happen. Raise OperatorUnavailable when the connection ends."""
        # The server sends comments in between, so a minute of silence is a dead connection.
        request = self._build_request("GET", "/events", {}, timeout=httpx.Timeout(10.0, read=60.0))
        try:
            answer = await self._client.send(request, stream=True)
            try:
                if answer.status_code != 200:
                    raise OperatorUnavailable
                async for line in answer.aiter_lines():
                    # Server-sent events: comments and other fields of the format are passed over.
                    if line.startswith("data:") and (event := _parse_event(line[5:])) is not None:
                        yield event
            finally:
                await answer.aclose()
        except httpx.HTTPError:
            raise OperatorUnavailable from None
        raise OperatorUnavailable

    def _signed_query(self, owner: str, job: str | None, **more: str) -> dict[str, str]:
        """Return the query with the reference's signature over owner, job and nonce."""
        nonce = self._next_nonce()
        query = {"providerAddress": self._key.address, "owner": owner}
        if job:
            query["jobId"] = job
        query["providerSignature"] = self._key.sign(f"{owner}{job or ''}{nonce}")
        return {**query, "nonce": str(nonce), **more}

    async def _request_json(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> OperatorAnswer:
        """Send a request and return the answer with its status. An answer that is no JSON keeps its status
        and gets an error of ours as its body."""
        try:
            answer = await self._client.send(self._build_request(method, path, query or {}, body))
        except httpx.HTTPError:
            raise OperatorUnavailable from None
        try:
            return OperatorAnswer(answer.status_code, parse_json(answer.content, WRAPPED))
        except ValueError:
            return OperatorAnswer(answer.status_code, {"error": "operator-service gave no readable answer"})

    def _build_request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: httpx.Timeout | None = None,
    ) -> httpx.Request:
        """Return a request with our own signature, over method, target, hash of the body and nonce: a
        captured one can neither become another call nor be sent again."""
        content = b"" if body is None else json.dumps(body, separators=(",", ":")).encode()
        request = self._client.build_request(
            method,
            self._base + path,
            params=query or None,
            content=content or None,
            headers={**({"Content-Type": "application/json"} if content else {}), **(headers or {})},
            timeout=timeout or httpx.Timeout(30.0),
        )
        # One nonce for both signatures: using the request up uses up the reference's form of it too.
        nonce = str((body or query).get("nonce") or self._next_nonce())
        # As httpx encodes it for the wire, because the other side verifies what it receives.
        target = request.url.raw_path.decode("ascii")
        text = f"{method}\n{target}\n{sha256(content).hexdigest()}\n{nonce}"
        request.headers["X-C2D-Signature"] = self._key.sign(text)
        request.headers["X-C2D-Nonce"] = nonce
        return request

    def _next_nonce(self) -> int:
        """Return the time in nanoseconds, strictly rising in this process."""
        with self._lock:
            self._last_nonce = max(time.time_ns(), self._last_nonce + 1)
            return self._last_nonce


def _parse_event(text: str) -> JobEvent | None:
    """Return the event that a line holds, None for what is not understood: a newer server may send more."""
    try:
        value = parse_json(text)
        return JobEvent(str(value["jobId"]), int(value["status"]), value.get("dateFinished") is not None)
    except (ValueError, KeyError, TypeError):
        return None
