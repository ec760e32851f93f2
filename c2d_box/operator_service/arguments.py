"""Where a request's arguments are: in the query if there is one at all, else in the JSON body. The
original's rule.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request

Arguments = Mapping[str, Any]


class Refusal(Exception):
    """An answer other than success, with the original's text."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


async def body(request: Request, limit: int) -> bytes:
    """Raises HTTP's own 413."""
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise HTTPException(413)
        chunks.append(chunk)
    return b"".join(chunks)


def read(request: Request, content: bytes) -> Arguments:
    """Raises Refusal where there are neither query nor JSON object."""
    if request.url.query:
        return dict(request.query_params)
    try:
        found = json.loads(content)
    except ValueError:
        found = None
    if not isinstance(found, dict) or not found:
        raise Refusal(400, "payload seems empty.")
    return found


def require(arguments: Arguments, keys: tuple[str, ...], call: str) -> None:
    for key in keys:
        if key not in arguments:
            raise Refusal(400, f'"{key}" is required in the call to {call}')


def text(arguments: Arguments, key: str) -> str | None:
    """Values of fewer than two characters count as absent."""
    value = arguments.get(key)
    return value if isinstance(value, str) and len(value) > 1 else None
