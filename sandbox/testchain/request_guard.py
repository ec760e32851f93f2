"""Checks which callers may talk to the node at all.

127.0.0.1 is no border: any page in the user's browser can send requests there. A page cannot send
``application/json`` without a preflight, which only listed origins pass; a rebound name shows in the Host
header.
"""

from __future__ import annotations

from collections.abc import Iterable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sandbox.testchain.settings import ChainNodeSettings


def caller_refusal(request: Request, settings: ChainNodeSettings) -> Response | None:
    """Return the answer for a caller that is not let in; None for one that is."""
    # DNS rebinding: a page's own name that points to 127.0.0.1 stands in the Host header.
    if not is_host_allowed(request.headers.get("host", ""), settings.allowed_hosts):
        return JSONResponse({"error": "invalid host specified"}, 403)
    # Only browsers send Origin; programs without one are let in.
    origin = request.headers.get("origin")
    if origin is not None and origin not in settings.allowed_origins:
        return JSONResponse({"error": "origin not allowed"}, 403)
    return None


def content_refusal(request: Request) -> Response | None:
    """Return the answer for a request that is no JSON; None for one that is.

    A page can send text/plain or a form to any address without asking first, and the body could still be
    JSON.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        return JSONResponse({"error": "invalid content type, only application/json is supported"}, 415)
    return None


def is_host_allowed(header: str, allowed: Iterable[str]) -> bool:
    """Return whether a host may be named. ``header`` is a Host header with or without port; ``allowed`` are
    names or ``*.suffix``."""
    # A trailing dot is the same name, fully qualified.
    host = _host_name(header).lower().rstrip(".")
    return any(
        host.endswith(pattern[1:].lower()) if pattern.startswith("*.") else host == pattern.lower()
        for pattern in allowed
    )


def _host_name(header: str) -> str:
    """Return the name of a Host header without its port; an IPv6 address stands in brackets."""
    if header.startswith("["):
        return header[1:].partition("]")[0]
    return header.partition(":")[0]


def cors_headers(request: Request, settings: ChainNodeSettings) -> dict[str, str]:
    """Return CORS headers for a listed origin, none for others."""
    origin = request.headers.get("origin")
    if origin is None or origin not in settings.allowed_origins:
        # No CORS header at all: the browser then keeps the answer from the page.
        return {}
    return {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Allow-Methods": "POST, GET",
        "Access-Control-Allow-Headers": "content-type",
        "Vary": "Origin",
    }
