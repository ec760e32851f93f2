"""The Provider's ASGI middleware: limits, clean paths, CORS, errors as JSON without URLs, one log line per
request.

The log line holds method, path, status and time, never the query or headers: signatures and tokens are there.
"""

from __future__ import annotations

import json
import logging
import re
import time
import uuid
from collections.abc import Mapping
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from c2d_box.provider.backends.catalog import CatalogUnavailable
from c2d_box.provider.backends.chain_gateway import ChainUnavailable
from c2d_box.provider.backends.operator_client import OperatorUnavailable
from c2d_box.provider.errors import (
    ApiError,
    ProviderRefusal,
    ServiceUnavailable,
    TooManyRequests,
    without_urls,
)
from c2d_box.provider.limits.client_rates import VisitorRateLimiter, VisitorResolver, visitor
from c2d_box.provider.settings import LimitsSection
from c2d_box.provider.streaming import ContentChanged
from c2d_box.service.request_body import BodyRefused
from c2d_box.storage import ChainAway, OwnAway, StorageError

log = logging.getLogger("c2d.provider")

_SLASHES = re.compile(r"/{2,}")
_CORS = [(b"access-control-allow-origin", b"*")]
_ALWAYS = [*_CORS, (b"x-content-type-options", b"nosniff")]
"""Headers of every answer: no browser may take a publisher's file for a page or a script, whatever its bytes
look like."""
# Browsers remember a preflight for ten minutes, which saves a request before each signed call.
_PREFLIGHT = [
    *_CORS,
    (b"access-control-allow-methods", b"GET, POST, PUT, DELETE, OPTIONS"),
    (b"access-control-max-age", b"600"),
    (b"content-length", b"0"),
]
_PROBES = {"/healthz", "/livez", "/readyz"}
# Kubernetes and load balancers ask these every few seconds; their lines would bury the others.
_QUIET = {"/", *_PROBES}
_OF_SERVICES = {"/api/c2d/grant", "/api/services/decrypt"}
"""Paths that running jobs and metadata caches ask for as often as they have files and documents. Only refused
requests to them count against an address's limit."""
# By exception class. ``OwnAway`` is a store of the operator's: nobody else's fault, so it is an outage too.
_AWAY: dict[type[Exception], str] = {
    CatalogUnavailable: "metadata cache",
    OperatorUnavailable: "compute service",
    ChainUnavailable: "chain",
    ChainAway: "chain",
    OwnAway: "file store",
}
_OUTAGES = tuple(_AWAY)


class EdgeMiddleware:
    """The middleware around all routes. It turns every exception of a handler into an answer: a known outage
    into 503 with the name of the service, an unforeseen exception into 503 with a reference to the log."""

    def __init__(self, app: ASGIApp, limits: LimitsSection) -> None:
        self._app = app
        self._limits = limits
        self._visitors = VisitorResolver(str(network) for network in limits.proxies)
        self._allowance = VisitorRateLimiter(limits.per_minute) if limits.per_minute else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # The lifespan events of ASGI.
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = _ResponseSender(send)
        began = time.perf_counter()
        path = scope["path"]
        # The original calls fileinfo with a double slash (D30 in docs/defects.md), and so may others.
        if "//" in path:
            path = _SLASHES.sub("/", path)
            scope = {**scope, "path": path, "raw_path": path.encode()}
        try:
            await self._handle_request(scope, receive, answer)
        # ``without_urls`` is the last guard for all errors: texts of libraries and of operator-service hold
        # addresses.
        except ApiError as error:
            await answer.send_json(error.status, without_urls(error.body), error.headers)
        except BodyRefused as error:
            await answer.send_json(error.status, {"error": error.text})
        except _OUTAGES as error:
            away = _outage_error(error)
            log.warning("a service is away", extra={"path": path[:200], "away": away.service})
            await answer.send_json(away.status, away.body, away.headers)
        # Where the answer has begun, ``send_json`` does nothing more: the rest of the file is missing, by
        # which the client sees that it is not complete.
        except (StorageError, ContentChanged) as error:
            log.warning("an answer was broken off", extra={"path": path, "why": type(error).__name__})
            await answer.send_json(502, {"error": "The file cannot be read from its source."})
        # 503 as in the original, and no text of the exception, which could hold a secret. The reference leads
        # to the log without showing anything of it.
        except Exception:
            reference = uuid.uuid4().hex[:12]
            log.exception("a request failed", extra={"path": path, "reference": reference})
            text = f"Something went wrong, reference {reference}."
            await answer.send_json(503, {"error": text, "context": {"path": path[:200]}})
        # Afterwards, because the status decides: guesses at grants count, a job's many good requests do not.
        if self._allowance and path in _OF_SERVICES and 400 <= answer.status < 500:
            self._allowance.take_allowance(visitor.get())
        if path not in _QUIET:
            took = round((time.perf_counter() - began) * 1000, 1)
            extra = {"method": scope["method"], "path": path[:200], "status": answer.status, "ms": took}
            log.info("request", extra=extra)

    async def _handle_request(self, scope: Scope, receive: Receive, answer: _ResponseSender) -> None:
        """Apply the limits that need no body, then call the application. Raise ApiError for a refused
        request."""
        name = self._visitors.resolve_visitor(scope)
        # Storage and limits below read it from here; each request has a context of its own.
        visitor.set(name)
        # Probes are always answered: a 429 to one would make Kubernetes restart a healthy pod.
        if self._allowance and scope["path"] not in _PROBES:
            # A peek and no payment: an address that has used its limit up by bad requests is refused here as
            # well.
            good = scope["path"] in _OF_SERVICES and not self._allowance.is_exhausted(name)
            if not good and (seconds := self._allowance.take_allowance(name)):
                raise TooManyRequests(seconds)
        # Cheap checks before routing. The head as a whole is bounded in bytes and seconds below ASGI already.
        if len(scope["raw_path"] or b"") + len(scope["query_string"]) > self._limits.target:
            raise ProviderRefusal("The request target is too long.", status=414)
        if sum(len(name) + len(value) for name, value in scope["headers"]) > self._limits.headers:
            raise ProviderRefusal("The request headers are too long.", status=431)
        if scope["method"] == "OPTIONS":
            await answer.send_preflight(scope)
        # Starlette adds HEAD to every GET route, and a HEAD of a download would use its nonce up for nothing.
        elif scope["method"] == "HEAD" and scope["path"].startswith("/api/"):
            raise ProviderRefusal("Method Not Allowed", status=405)
        else:
            await self._app(scope, receive, answer.send_message)


def _outage_error(error: Exception) -> ServiceUnavailable:
    """Return the 503 answer that names the service behind this exception."""
    return ServiceUnavailable(next(name for kind, name in _AWAY.items() if isinstance(error, kind)))


class _ResponseSender:
    """Tracks how much of an answer has been sent, because an error can be sent only before the answer has
    started; after that, breaking the connection off is all that is left."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status = 0

    async def send_message(self, message: Message) -> None:
        """Pass a message on. Remember the status, and add the headers that every answer has."""
        # Here and not in the handlers, so that no answer can lack the headers.
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message = {**message, "headers": [*message.get("headers", []), *_ALWAYS]}
        await self._send(message)

    async def send_json(self, status: int, body: Any, more: Mapping[str, str] | None = None) -> None:
        """Send a whole JSON answer, or nothing where an answer has begun already."""
        if self.status:
            return  # returning without the rest breaks the connection off
        content = json.dumps(body, separators=(",", ":")).encode()
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(content)).encode()),
            *((name.encode(), value.encode()) for name, value in (more or {}).items()),
        ]
        await self.send_message({"type": "http.response.start", "status": status, "headers": headers})
        await self._send({"type": "http.response.body", "body": content})

    async def send_preflight(self, scope: Scope) -> None:
        """Answer a CORS preflight. Any requested header is allowed: nothing here is authorised by cookies,
        so another origin gains nothing that it could not send itself."""
        wanted = dict(scope["headers"]).get(b"access-control-request-headers", b"*")
        headers = [*_PREFLIGHT, (b"access-control-allow-headers", wanted)]
        self.status = 200
        await self._send({"type": "http.response.start", "status": 200, "headers": headers})
        await self._send({"type": "http.response.body", "body": b""})
