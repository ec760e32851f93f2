"""The error families of the Provider's HTTP API, and the removal of URLs, which must never be in them.

The shapes are those of Ocean's Provider, because its clients parse them; ``away`` and ``reasons`` are added.

ApiError
├── InvalidParameters   400 {"errors": {field: [text]}, "message": "Validation error", "success": false}
├── ProviderRefusal     400/403/404 {"error": text} or {"error": {resource: code}}, "reasons" where known
├── TooManyRequests     429 {"error": text}, with Retry-After
├── ServiceUnavailable  503 {"error": text, "away": service}, with Retry-After: a needed service is away
└── UpstreamError       the status and body of a service behind us
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

STRIPPED = "<URL stripped for security reasons>"
# Verbatim from the original: clients look for this text.
BAD_SIGNATURE = "Invalid signature provided. Please check the nonce or documentId."
# The whole word goes, not just the URL in it: quotes or brackets around it may belong to credentials.
_URL = re.compile(r"\S*[a-zA-Z][a-zA-Z0-9+.-]*://\S*")


class ApiError(Exception):
    """An exception that ends the request with ``status`` and the JSON ``body``."""

    def __init__(self, status: int, body: Any, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{status}")
        self.status = status
        self.body = body
        self.headers = headers or {}


class InvalidParameters(ApiError):
    """Parameter validation failed (400): the body names every failed field with its texts. A wrong signature
    is one text, not a list."""

    def __init__(self, errors: Mapping[str, list[str] | str]) -> None:
        super().__init__(400, {"errors": dict(errors), "message": "Validation error", "success": False})


class ProviderRefusal(ApiError):
    """A business rule refused the request, by default with status 400."""

    def __init__(
        self, error: str | Mapping[str, str], *, status: int = 400, reasons: object = None, **more: object
    ) -> None:
        body: dict[str, Any] = {"error": dict(error) if isinstance(error, Mapping) else error}
        if reasons is not None:
            body["reasons"] = reasons
        super().__init__(status, body | more)


def compute_refusal(resource: str, code: str, reasons: object = None) -> ProviderRefusal:
    return ProviderRefusal({resource: code}, reasons=reasons)


class TooManyRequests(ApiError):
    """The address has sent too many requests (429). ``seconds`` pass until its next one is answered."""

    def __init__(self, seconds: float, text: str = "Too many requests from this address.") -> None:
        # Retry-After counts whole seconds (RFC 9110); rounded down it would send the client back too early.
        super().__init__(429, {"error": text}, {"retry-after": str(math.ceil(seconds))})


RETRY_SECONDS = 5
"""The seconds after which a client is told to come back when a service is away."""


class ServiceUnavailable(ApiError):
    """A service that the Provider needs does not answer (503). The body's ``away`` names it, so that nobody
    takes the outage for a fault of the asset, of its publisher or of the request, which may be sent again."""

    def __init__(self, service: str, text: str = "") -> None:
        text = text or f"The {service} does not answer now, try again."
        # An empty ``context``, because the original's errors of this kind hold one.
        body = {"error": text, "away": service, "context": {}}
        super().__init__(503, body, {"retry-after": str(RETRY_SECONDS)})
        self.service = service


class UpstreamError(ApiError):
    """An error answer of operator-service that is handed through. An outage (503) gets the name of the
    service that is away, where the answer does not have it."""

    def __init__(self, status: int, body: Any) -> None:
        # operator-service behind this Provider may be an original one, which does not name what is away.
        if status == 503 and isinstance(body, Mapping) and "away" not in body:
            service = "PostgreSQL" if "PostgreSQL" in str(body.get("error")) else "compute service"
            body = {**body, "away": service}
        super().__init__(status, body, {"retry-after": str(RETRY_SECONDS)} if status == 503 else None)


def without_urls(value: Any) -> Any:
    """Return the value with every white-space-separated token that holds a URL replaced, at any depth."""
    if isinstance(value, str):
        # The test for "://" first: the pattern backtracks on long texts, and most texts hold no URL.
        return _URL.sub(STRIPPED, value) if "://" in value else value
    if isinstance(value, Mapping):
        return {key: without_urls(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [without_urls(entry) for entry in value]
    return value
