"""Reads a request's arguments: from the query if there is one at all, else from the JSON body, as the
original does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request

from c2d_box.service.request_body import parse_body
from c2d_box.strict_json import JsonLimits

Arguments = Mapping[str, Any]
_LIMITS = JsonLimits(depth=96, allow_nul=False)
"""Deeper than the Provider's limit for its callers: it wraps their JSON once more on its way here."""


class OperatorRefusal(Exception):
    """An answer other than success, with the original's text.

    It is raised anywhere below a route, and becomes the answer in one place,
    :mod:`c2d_box.operator_service.app`.
    """

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


def read_arguments(request: Request, content: bytes) -> Arguments:
    """Return the arguments. Raises OperatorRefusal where there is neither a query nor a JSON object."""
    # Never both: the signature's text is made from these arguments, and a mix could be read in two ways.
    if request.url.query:
        return dict(request.query_params)
    found = parse_body(content, _LIMITS)
    # The original's text, also for an empty object.
    if not isinstance(found, dict) or not found:
        raise OperatorRefusal(400, "payload seems empty.")
    return found


def require_arguments(arguments: Arguments, keys: tuple[str, ...], call: str) -> None:
    """Raise OperatorRefusal 400, with the original's text, for the first of ``keys`` that is missing."""
    for key in keys:
        # Presence only: each handler judges the value itself.
        if key not in arguments:
            raise OperatorRefusal(400, f'"{key}" is required in the call to {call}')


def text_argument(arguments: Arguments, key: str) -> str | None:
    """Return a text argument, else None; texts of fewer than two characters count as absent."""
    value = arguments.get(key)
    return value if isinstance(value, str) and len(value) > 1 else None
