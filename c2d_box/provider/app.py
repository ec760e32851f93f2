"""The Provider as one ASGI application."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from c2d_box.provider.caller import Callers
from c2d_box.provider.catalog import Catalog
from c2d_box.provider.database import Database
from c2d_box.provider.edge import Edge
from c2d_box.provider.environments import Environments
from c2d_box.provider.errors import TooMany
from c2d_box.provider.grants import Grants
from c2d_box.provider.ledger import Ledger
from c2d_box.provider.listener import listen
from c2d_box.provider.liveness import Liveness
from c2d_box.provider.nonces import Nonces
from c2d_box.provider.openapi.document import document
from c2d_box.provider.openapi.page import page
from c2d_box.provider.operator import Operator
from c2d_box.provider.patience import Patience
from c2d_box.provider.resultplace import open_origins, result_store
from c2d_box.provider.routes import discovery
from c2d_box.provider.routing import listed, routes
from c2d_box.provider.secrets import ProviderKey, TokenSecret, provider_key, token_secret
from c2d_box.provider.services import Services
from c2d_box.provider.settings import Settings
from c2d_box.provider.table import ENDPOINTS
from c2d_box.provider.tokens import Tokens
from c2d_box.provider.visitors import Allowance, visitor
from c2d_box.storage import AddressRules, Fetcher, Storage, Timeouts

_LARGEST_PER_MINUTE = 16
"""The bytes that may be read for hashes for one network address within a minute, counted in algorithms of the
largest size."""


def application(settings: Settings) -> Starlette:
    """Build the Provider's application. Keys are read now, so a missing one ends the start; the chain, the
    cache and operator-service may come up later."""
    key, secret = provider_key(settings.secrets_dir), token_secret(settings.secrets_dir)
    clients = httpx.AsyncClient(
        trust_env=False,
        timeout=httpx.Timeout(10.0),
        limits=httpx.Limits(max_connections=200, max_keepalive_connections=50),
    )
    services = assemble(settings, key, secret, clients)

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        # The chain is opened while the first requests, which need none, are answered.
        running: list[asyncio.Task[Any]] = [asyncio.create_task(services.ledger.ready())]
        if services.operator:
            running.append(asyncio.create_task(listen(services)))
        try:
            yield
        finally:
            for task in running:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
            await clients.aclose()
            if services.liveness:
                services.liveness.write()
            services.ledger.close()
            services.database.close()

    app = Starlette(
        routes=routes(ENDPOINTS),
        middleware=[Middleware(Edge, limits=settings.limits)],
        exception_handlers={HTTPException: _http_error},
        lifespan=lifespan,
    )
    app.state.services = services
    described = document(
        ENDPOINTS, version=discovery.VERSION, chain_id=services.chain_id, url=settings.public_url
    )
    app.state.discovery = _compact(discovery.document(services, listed(ENDPOINTS)))
    app.state.spec, app.state.page = _compact(described), page(described).encode()
    return app


def assemble(
    settings: Settings, key: ProviderKey, secret: TokenSecret, client: httpx.AsyncClient
) -> Services:
    database = Database(settings.database)
    nonces = Nonces(database, settings.signatures.first_nonce)
    tokens = Tokens(secret.derive("tokens"), database, settings.signatures.token_seconds)
    chain, patience = settings.chain, Patience(settings.limits.unknown_orders)
    ledger = Ledger(client, chain.rpc_url, chain.address_file, chain.id, patience)
    fetch = settings.fetch
    results = result_store(settings)
    fetcher = Fetcher(
        AddressRules(open_origins(settings, results)),
        aliases={**settings.endpoint_aliases, **fetch.aliases},
        timeouts=Timeouts(head=fetch.timeout, opening=2 * fetch.timeout),
    )
    url = settings.operator_service_url
    operator = Operator(client, url, key) if url else None
    return Services(
        settings=settings,
        key=key,
        job_key=secret.derive("jobs"),
        database=database,
        nonces=nonces,
        tokens=tokens,
        callers=Callers(nonces, tokens),
        grants=Grants(secret.derive("grants")),
        catalog=Catalog(client, settings.cache_url, settings.chain.id),
        ledger=ledger,
        storage=Storage(
            fetcher,
            fetch.gateways,
            ledger.read_contract,
            results,
            spend=_budget(fetch.max_algorithm_length),
        ),
        operator=operator,
        environments=Environments(operator, settings.chain.id) if operator else None,
        liveness=Liveness(operator, database, settings.chain.id, settings.grant_seconds)
        if operator
        else None,
    )


def _budget(largest: int) -> Callable[[int], None]:
    """Return a function that counts the bytes read from sources for their hashes, by the network address that
    asked, and raises TooMany (429) above a minute's amount. Signed or not, such requests cost their senders
    nothing.
    """
    allowance = Allowance(_LARGEST_PER_MINUTE * largest)

    def spend(count: int) -> None:
        if seconds := allowance.take(visitor.get(), count):
            raise TooMany(seconds, "Too many bytes of files were read for this address.")

    return spend


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    text = f"{error.status_code} {error.detail}" if error.status_code == 404 else error.detail
    context = {"path": request.url.path[:200], "method": request.method}
    return JSONResponse({"error": text, "context": context}, error.status_code, error.headers)


def _compact(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
