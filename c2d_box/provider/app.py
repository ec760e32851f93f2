"""Assembles the Provider as one ASGI application: settings and keys become clients, stores and routes,
once per process. All rules are elsewhere; a reader who looks for the owner of a part finds it in
:func:`assemble_services`."""

from __future__ import annotations

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

from c2d_box.provider.auth.caller import CallerVerifier
from c2d_box.provider.auth.consumer_rights import ConsumerRights
from c2d_box.provider.auth.grants import GrantCipher
from c2d_box.provider.auth.nonces import NonceStore
from c2d_box.provider.auth.tokens import AuthTokens
from c2d_box.provider.backends.catalog import AssetCatalog
from c2d_box.provider.backends.chain_gateway import ChainGateway
from c2d_box.provider.backends.environments import EnvironmentCache
from c2d_box.provider.backends.job_liveness import JobLiveness
from c2d_box.provider.backends.operator_client import OperatorClient
from c2d_box.provider.backends.result_store import open_origins, result_store
from c2d_box.provider.database import ProviderDatabase
from c2d_box.provider.errors import TooManyRequests
from c2d_box.provider.job_events import follow_job_events
from c2d_box.provider.limits.client_rates import VisitorRateLimiter, visitor
from c2d_box.provider.limits.order_waits import OrderWaitLimiter
from c2d_box.provider.middleware import EdgeMiddleware
from c2d_box.provider.openapi.document import describe_provider_api
from c2d_box.provider.openapi.page import render_api_page
from c2d_box.provider.route_table import ENDPOINTS
from c2d_box.provider.routes import discovery
from c2d_box.provider.routing import endpoint_routes, listed_endpoints
from c2d_box.provider.secrets import ProviderKey, TokenSecret, provider_key, token_secret
from c2d_box.provider.services import ProviderContext
from c2d_box.provider.settings import ProviderSettings
from c2d_box.service.http_server import background_work
from c2d_box.storage import AddressRules, Fetcher, FetchTimeouts, Storage

_LARGEST_PER_MINUTE = 16
"""The bytes that may be read for hashes for one network address within a minute, counted in algorithms of the
largest size."""


def build_provider_app(settings: ProviderSettings) -> Starlette:
    """Build the Provider's application. Keys are read now, so a missing one ends the start; the chain, the
    cache and operator-service may come up later."""
    key, secret = provider_key(settings.secrets_dir), token_secret(settings.secrets_dir)
    # One pool for chain, metadata cache and operator-service, all of which the operator configured. Files of
    # publishers never come through it: the storage fetcher has a client of its own, with address rules.
    clients = httpx.AsyncClient(
        # Addresses inside the cluster: a proxy of the environment must not come between, nor see tokens and
        # grants.
        trust_env=False,
        timeout=httpx.Timeout(10.0),
        limits=httpx.Limits(max_connections=200, max_keepalive_connections=50),
    )
    services = assemble_services(settings, key, secret, clients)

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        # The chain is opened while the first requests, which need none, are answered. Without a compute
        # backend there are no jobs whose end could be followed.
        following = (
            [follow_job_events(services.operator, services.liveness)]
            if services.operator and services.liveness
            else []
        )
        try:
            async with background_work(app, services.ledger.is_ready(), *following):
                yield
        finally:
            # Only after the tasks: the event stream uses this client.
            await clients.aclose()
            if services.liveness:
                # Ends that are held back for a common transaction would be lost with the process.
                services.liveness.write_ends()
            services.ledger.close()
            # Last, because the line above still writes.
            services.database.close()

    app = Starlette(
        routes=endpoint_routes(ENDPOINTS),
        middleware=[Middleware(EdgeMiddleware, limits=settings.limits)],
        exception_handlers={HTTPException: _http_error},
        lifespan=lifespan,
    )
    app.state.services = services
    described = describe_provider_api(
        ENDPOINTS, version=discovery.VERSION, chain_id=services.chain_id, url=settings.public_url
    )
    # Discovery, description and page cannot change while the process runs, so they are rendered once.
    app.state.discovery = _compact_json(discovery.discovery_document(services, listed_endpoints(ENDPOINTS)))
    app.state.spec, app.state.page = _compact_json(described), render_api_page(described).encode()
    return app


def assemble_services(
    settings: ProviderSettings, key: ProviderKey, secret: TokenSecret, client: httpx.AsyncClient
) -> ProviderContext:
    """Make every part of the Provider and connect them. Nothing is contacted here, so the process starts
    while chain, cache and operator-service are still away."""
    database = ProviderDatabase(settings.database)
    nonces = NonceStore(database, settings.signatures.first_nonce)
    tokens = AuthTokens(secret.derive_key("tokens"), database, settings.signatures.token_seconds)
    chain, patience = settings.chain, OrderWaitLimiter(settings.limits.unknown_orders)
    # The chain reads contracts for storage too, so it has to exist before the storage does.
    ledger = ChainGateway(client, chain.rpc_url, chain.address_file, chain.id, patience)
    fetch = settings.fetch
    results = result_store(settings)
    fetcher = Fetcher(
        # Not ``fetch.allow`` itself: the gateway of the result store must stay closed to a publisher's URL.
        AddressRules(open_origins(settings, results)),
        aliases={**settings.endpoint_aliases, **fetch.aliases},
        # All hops of a redirect together may take twice as long as the head of one answer.
        timeouts=FetchTimeouts(head=fetch.timeout, opening=2 * fetch.timeout),
    )
    url = settings.operator_service_url
    operator = OperatorClient(client, url, key) if url else None
    environments = EnvironmentCache(operator, chain.id) if operator else None
    return ProviderContext(
        settings=settings,
        key=key,
        # Each purpose has a derived key, so that a token can never be presented as a grant or the other way
        # round.
        job_key=secret.derive_key("jobs"),
        database=database,
        nonces=nonces,
        tokens=tokens,
        callers=CallerVerifier(nonces, tokens),
        grants=GrantCipher(secret.derive_key("grants")),
        catalog=AssetCatalog(client, settings.cache_url, settings.chain.id),
        ledger=ledger,
        storage=Storage(
            fetcher,
            fetch.gateways,
            ledger.read_contract,
            results,
            spend=_hash_budget(fetch.max_algorithm_length),
        ),
        operator=operator,
        environments=environments,
        liveness=JobLiveness(operator, database, settings.chain.id, settings.grant_seconds)
        if operator
        else None,
        consumers=ConsumerRights(ledger, environments, settings.compat.environment_downloads),
    )


def _hash_budget(largest: int) -> Callable[[int], None]:
    """Return a function that counts the bytes read from sources for their hashes, by the network address
    that asked, and raises TooManyRequests (429) above a minute's amount. Signed or not, such requests cost
    their senders nothing."""
    allowance = VisitorRateLimiter(_LARGEST_PER_MINUTE * largest)

    def spend(count: int) -> None:
        # The address is a context variable, because storage does not know about requests.
        if seconds := allowance.take_allowance(visitor.get(), count):
            raise TooManyRequests(seconds, "Too many bytes of files were read for this address.")

    return spend


async def _http_error(request: Request, error: Exception) -> Response:
    """Answer Starlette's own errors (no such route, wrong method) in JSON, as every other error of this
    API."""
    assert isinstance(error, HTTPException)
    text = f"{error.status_code} {error.detail}" if error.status_code == 404 else error.detail
    context = {"path": request.url.path[:200], "method": request.method}
    return JSONResponse({"error": text, "context": context}, error.status_code, error.headers)


def _compact_json(value: Mapping[str, Any]) -> bytes:
    """Return the JSON as bytes, without white space."""
    return json.dumps(value, separators=(",", ":")).encode()
