"""Where a request's parameters are: in the query if there is one, else in the JSON body (never both).

ocean.py sends stop and delete as a query, ocean.js as a JSON body, DELETE included. Bodies are bounded in
size and time.
"""

from __future__ import annotations

import asyncio
import json
import math
from typing import Any

from starlette.requests import ClientDisconnect, Request

from c2d_box.provider.errors import Refusal
from c2d_box.provider.settings import LimitsSection


async def parameters(request: Request, limits: LimitsSection) -> dict[str, Any]:
    """The request's data: all values of a query are text; missing or invalid JSON is an empty object."""
    return in_query(request) or await json_body(request, limits)


def in_query(request: Request) -> dict[str, Any]:
    """Of a parameter given twice, the first."""
    return {key: request.query_params.getlist(key)[0] for key in request.query_params}


async def json_body(request: Request, limits: LimitsSection) -> dict[str, Any]:
    """The body's object, empty where it is none."""
    value = parsed(await body(request, limits))
    return value if isinstance(value, dict) else {}


def parsed(text: str | bytes) -> Any:
    """JSON as the standard has it, None for anything else: no NaN, no numbers beyond what a double holds,
    no half characters, which nothing further on could hash, sign or store."""
    try:
        value = json.loads(text, parse_constant=_refused, parse_float=_finite)
        if b"\\u" in text if isinstance(text, bytes) else "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return None
    return value


def _refused(text: str) -> None:
    raise ValueError(text)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


async def body(request: Request, limits: LimitsSection) -> bytes:
    """At most ``limits.body`` bytes within ``limits.body_seconds``."""
    declared = request.headers.get("content-length", "0")
    if declared.isdigit() and int(declared) > limits.body:
        raise Refusal("The request body is too large.", status=413)
    received = bytearray()
    try:
        async with asyncio.timeout(limits.body_seconds):
            async for chunk in request.stream():
                received += chunk
                if len(received) > limits.body:
                    raise Refusal("The request body is too large.", status=413)
    except TimeoutError:
        raise Refusal("The request body did not arrive in time.", status=408) from None
    except ClientDisconnect:
        raise Refusal("The client went away.", status=400) from None
    return bytes(received)


def user_data(value: Any) -> dict[str, Any] | None:
    """``userdata`` as an object; in a query it comes as JSON text."""
    if isinstance(value, str) and value:
        value = parsed(value)
    return value if isinstance(value, dict) else None
