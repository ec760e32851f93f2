"""The reader of request bodies: bounded in bytes and in seconds, and guarded where they are JSON.

A body is read before anybody is authenticated, so nothing in it may become an exception that the routes do
not expect: malformed or deeply nested JSON is 400, too many bytes are 413, too slow ones 408.
"""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from c2d_box.strict_json import DEFAULT, MALFORMED, JsonLimits, JsonRefused, parse_json

BODY_SECONDS = 30.0
"""Seconds for a whole body: one byte a second would otherwise hold a task for ever."""
TOO_LARGE = "The request body is too large."
TOO_SLOW = "The request body did not arrive in time."
GONE = "The client went away."


class BodyRefused(Exception):
    """A body that cannot be used: ``status`` and ``text`` answer the request."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


async def read_body(request: Request, limit_bytes: int, limit_seconds: float = BODY_SECONDS) -> bytes:
    """Return the whole body. Raise BodyRefused: 413 before more than the limit is kept, 408 after
    ``limit_seconds``, 400 when the client goes away."""
    declared = request.headers.get("content-length", "0")
    # The declared length saves reading; it is not believed, since a chunked body has none. Twenty digits are
    # enough.
    if declared.isdecimal() and int(declared[:20]) > limit_bytes:
        raise BodyRefused(413, TOO_LARGE)
    received = bytearray()
    try:
        # For the body as a whole, not between two chunks, which a slow sender could keep up.
        async with asyncio.timeout(limit_seconds):
            async for chunk in request.stream():
                received += chunk
                if len(received) > limit_bytes:
                    raise BodyRefused(413, TOO_LARGE)
    except TimeoutError:
        raise BodyRefused(408, TOO_SLOW) from None
    except ClientDisconnect:
        raise BodyRefused(400, GONE) from None
    return bytes(received)


def parse_body(content: bytes, limits: JsonLimits = DEFAULT) -> Any:
    """Return the JSON value of a body, or None where it is empty or no JSON at all, as the originals read it.
    Raise BodyRefused (400) for JSON that nothing further on can hash, sign or store."""
    try:
        return parse_json(content, limits)
    except JsonRefused as refused:
        # No JSON at all counts as an empty body, as the originals read it: the route says what it lacks.
        if refused.code == MALFORMED:
            return None
        raise BodyRefused(400, f"The request body cannot be used. {refused.reason}") from None


async def answer_refused_body(_: Request, error: Exception) -> Response:
    """The exception handler for BodyRefused in an application whose errors are ``{"error": text}``."""
    # Starlette types handlers by Exception, and calls this one for its own class only.
    assert isinstance(error, BodyRefused)
    return JSONResponse({"error": error.text}, error.status)
