"""Reads a request's parameters: from the query if there is one, else from the JSON body (never both).

ocean.py sends stop and delete as a query, ocean.js as a JSON body, DELETE included. Bodies are bounded in
size and time, and pass the guard for JSON before they are parsed.
"""

from __future__ import annotations

from typing import Any

from starlette.requests import Request

from c2d_box.provider.settings import LimitsSection
from c2d_box.service.request_body import parse_body, read_body
from c2d_box.strict_json import JsonLimits, JsonRefused, parse_json

# PostgreSQL stores no text with a NUL, and no honest request has one.
_LIMITS = JsonLimits(allow_nul=False)


async def read_parameters(request: Request, limits: LimitsSection) -> dict[str, Any]:
    """Return the request's parameters. All values of a query are text; missing or invalid JSON is an empty
    object."""
    return query_parameters(request) or await read_json_body(request, limits)


def query_parameters(request: Request) -> dict[str, Any]:
    """Return the parameters of the query; of one that is given twice, the first value."""
    return {key: request.query_params.getlist(key)[0] for key in request.query_params}


async def read_json_body(request: Request, limits: LimitsSection) -> dict[str, Any]:
    """Return the body's object. As in the original it is empty where the body is no JSON at all; JSON that
    nothing further on could carry is refused (400) with the reason."""
    value = parse_body(await read_raw_body(request, limits), _LIMITS)
    return value if isinstance(value, dict) else {}


def parse_parameter(text: str | bytes) -> object:
    """Return the JSON value that a parameter holds as text, None for what ``parse_json`` refuses."""
    try:
        return parse_json(text, _LIMITS)
    except JsonRefused:
        return None


async def read_raw_body(request: Request, limits: LimitsSection) -> bytes:
    """Return the body: at most ``limits.body`` bytes within ``limits.body_seconds``. Raise BodyRefused."""
    return await read_body(request, limits.body, limits.body_seconds)


def user_data(value: object) -> dict[str, object] | None:
    """Return ``userdata`` as an object, None where it is none; in a query it comes as JSON text."""
    if isinstance(value, str) and value:
        value = parse_parameter(value)
    return value if isinstance(value, dict) else None
