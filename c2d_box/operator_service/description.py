"""``/spec`` and ``/api/v1/docs/``: the routes described from their own docstrings, so neither can lag."""

from __future__ import annotations

import html
import inspect
from collections.abc import Iterable
from typing import Any

from starlette.routing import Route


def describe_operator_api(routes: Iterable[Route], version: str) -> dict[str, Any]:
    """Return OpenAPI 3.1 with a path item for each route."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        text = inspect.getdoc(route.endpoint) or ""
        # Starlette adds HEAD to every GET.
        for method in sorted((route.methods or set()) - {"HEAD"}):
            paths.setdefault(route.path, {})[method.lower()] = {
                "operationId": f"{method.lower()} {route.path}",
                "summary": text.partition("\n")[0],
                "description": text,
                "responses": {"200": {"description": "as described"}, "default": {"description": "an error"}},
            }
    return {
        "openapi": "3.1.0",
        "info": {"title": "operator-service", "version": version},
        "paths": paths,
    }


def operator_api_page(described: dict[str, Any]) -> str:
    """Return the description as an HTML page for people, without a script from elsewhere."""
    # Escaped, though all of it is our own text: paths hold braces and descriptions quotes.
    rows = "".join(
        f"<tr><td>{html.escape(method.upper())}</td><td><code>{html.escape(path)}</code></td>"
        f"<td>{html.escape(operation['summary'])}</td></tr>"
        for path, methods in described["paths"].items()
        for method, operation in methods.items()
    )
    return f"<!doctype html><title>operator-service</title><h1>operator-service</h1><table>{rows}</table>"
