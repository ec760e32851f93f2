"""The cache's routes as an OpenAPI document, made from the routes themselves and their docstrings."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any

from starlette.routing import Route

QUERIES = {
    "/api/aquarius/state/ddo": ("did", "nft", "txId"),
    "/api/aquarius/validation/schema": ("version",),
    "/api/c2d/decryptor": ("url",),
}
"""The parameters that routes take in the query; all are optional texts."""
# Starlette's routes say nothing of queries and bodies, so these two tables do.
BODIES = {
    "/api/aquarius/assets/ddo/validate": "application/octet-stream",
    "/api/aquarius/assets/names": "application/json",
    "/api/aquarius/assets/query": "application/json",
    "/api/aquarius/assets/triggerCaching": "application/json",
}


def describe_cache_api(routes: Iterable[Route], version: str) -> dict[str, Any]:
    """Return the OpenAPI document of these routes."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        # Starlette adds HEAD to each GET route; it needs no description of its own.
        for method in sorted((route.methods or set()) - {"HEAD"}):
            paths.setdefault(route.path, {})[method.lower()] = _operation_object(route)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Metadata cache", "version": version},
        "paths": paths,
    }


def _operation_object(route: Route) -> dict[str, Any]:
    """Return the description of one route. Its docstring is the summary, so docstrings of routes are
    public texts."""
    # One line: docstrings are wrapped for the source, and a summary is not.
    text = " ".join((inspect.getdoc(route.endpoint) or "").split())
    described: dict[str, Any] = {
        # Handlers are private functions; clients see the name without the underscore.
        "operationId": route.endpoint.__name__.lstrip("_"),
        "summary": text,
        "parameters": [
            *(_parameter_object(name, "path") for name in route.param_convertors),
            *(_parameter_object(name, "query") for name in QUERIES.get(route.path, ())),
        ],
        "responses": {
            "200": {"description": "what was asked for"},
            # Texts of errors are Aquarius' own and differ by route, so no schema is promised.
            "4XX": {"description": "why not"},
        },
    }
    if kind := BODIES.get(route.path):
        described["requestBody"] = {"required": True, "content": {kind: {}}}
    return described


def _parameter_object(name: str, place: str) -> dict[str, Any]:
    """Return one parameter. Those of the path are required, as OpenAPI demands."""
    return {"name": name, "in": place, "required": place == "path", "schema": {"type": "string"}}
