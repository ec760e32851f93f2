"""Logs of a running job, as they are written: signed like results, and only for the job's owner.

The bytes come through operator-service, whose gate has already bounded and cleaned them.
"""

from __future__ import annotations

import asyncio

import httpx
from starlette.requests import Request
from starlette.responses import Response

from c2d_box.provider.auth import signed_texts
from c2d_box.provider.backends.operator_client import OperatorClient, OperatorUnavailable
from c2d_box.provider.errors import ProviderRefusal, ServiceUnavailable, UpstreamError
from c2d_box.provider.requests import fields
from c2d_box.provider.requests.parameters import read_parameters
from c2d_box.provider.routes.compute import COMPUTE, UNAVAILABLE, as_json, required_operator
from c2d_box.provider.services import provider_context
from c2d_box.provider.streaming import FileResponse

_COMPONENT = "algorithm"


async def follow(request: Request) -> Response:
    """The log of one component of a job, from its beginning; with ``follow`` until the component ends."""
    provider = provider_context(request)
    operator = required_operator(provider)
    data = await read_parameters(request, provider.settings.limits)
    caller = provider.callers.verify_caller(
        data, fields.LOGS, signed_texts.logs_claim(data), request.headers.get("authtoken")
    )
    # A log may be followed for hours, so each account has few slots; taken before the nonce is used.
    provider.followers.acquire_slot(caller.address)
    try:
        caller.use_nonce(provider.nonces)
        answer = await _open_log(request, operator, caller.address, data)
    # A cancelled request must give its slot back as well, hence not only Exception.
    except BaseException:
        provider.followers.release_slot(caller.address)
        raise

    async def close() -> None:
        provider.followers.release_slot(caller.address)
        await answer.aclose()

    headers = {"content-type": "text/plain; charset=utf-8", "cache-control": "no-store"}
    return FileResponse(answer.aiter_raw(), close, 200, headers)


async def _open_log(
    request: Request, operator: OperatorClient, owner: str, data: fields.Data
) -> httpx.Response:
    """A silent program may not write for hours, so only the client's going away ends the wait."""
    component = str(data.get("component") or _COMPONENT)
    following = str(data.get("follow", "")).lower() in ("1", "true", "yes")
    asked = asyncio.ensure_future(operator.open_logs(owner, str(data["jobId"]), component, follow=following))
    # Whichever comes first: the operator's answer or the client's going away.
    gone = asyncio.ensure_future(_await_disconnect(request))
    try:
        await asyncio.wait({asked, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not asked.done():
            raise ProviderRefusal("The client went away.", status=400)
        answer = asked.result()
    except OperatorUnavailable:
        raise ServiceUnavailable(COMPUTE, UNAVAILABLE) from None
    finally:
        gone.cancel()
        asked.cancel()
    # Errors come before the first byte of the log, so they can still have a status of their own.
    if answer.status_code != 200:
        try:
            content = await answer.aread()
        finally:
            await answer.aclose()
        raise UpstreamError(answer.status_code, as_json(content))
    return answer


async def _await_disconnect(request: Request) -> None:
    """Return once the client has gone. The body has been read by then, so nothing else arrives."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
