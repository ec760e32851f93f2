"""``GET /``, which describes this Provider and lists its sixteen endpoints, and the health and API
description routes. Clients ask for ``/`` before every call, so it is static."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from c2d_box.provider.services import ProviderContext, provider_context
from c2d_box.service import liveness

# The version of the original Provider whose interface this is.
VERSION = "2.1.6"
PREFIX = "/api/services"
# No script and nothing from elsewhere: a browser enforces what the page promises.
_PAGE = {"content-security-policy": "default-src 'none'; style-src 'unsafe-inline'"}


def discovery_document(provider: ProviderContext, endpoints: dict[str, list[str]]) -> dict[str, Any]:
    """Return the answer of ``GET /``. ``endpoints`` holds method and path by name; clients count them."""
    return {
        "software": "Provider",
        "version": VERSION,
        "providerAddresses": {str(provider.chain_id): provider.key.address},
        "chainIds": [provider.chain_id],
        "serviceEndpoints": endpoints,
    }


async def root(request: Request) -> Response:
    """Static: no upstream is asked."""
    return Response(request.app.state.discovery, media_type="application/json")


async def livez(request: Request) -> Response:
    """Whether the process turns: no dependency is asked."""
    return await liveness.livez(request)


async def readyz(request: Request) -> Response:
    """Ready once the chain has been read, and from then on: while a service that the Provider needs is away
    it goes on answering, naming it, and serves what does not need it (running jobs' files need no chain).
    With ``?verbose`` it says which are away now."""
    provider = provider_context(request)
    ready = provider.ledger.was_opened or await provider.ledger.is_ready()
    answer: dict[str, Any] = {"ready": ready}
    if "verbose" in request.query_params:
        answer["away"] = [name for name, answers in (await _ask_services(provider)).items() if not answers]
    return JSONResponse(answer, 200 if ready else 503)


async def _ask_services(provider: ProviderContext) -> dict[str, bool]:
    """Return for each service that the Provider needs whether it answers, asking all at the same time."""
    asked = {"chain": provider.ledger.is_ready(), "metadata cache": provider.catalog.is_ready()}
    if provider.operator is not None:
        asked["compute service"] = provider.operator.is_ready()
    return dict(zip(asked, await asyncio.gather(*asked.values()), strict=True))


async def healthz(request: Request) -> Response:
    """Ready when the chain can be asked; the root answers regardless."""
    ready = await provider_context(request).ledger.is_ready()
    return JSONResponse({"ready": ready}, 200 if ready else 503)


async def spec(request: Request) -> Response:
    """OpenAPI 3.1, made from the routes themselves."""
    return Response(request.app.state.spec, media_type="application/json")


async def page(request: Request) -> Response:
    """One page without scripts or anything from elsewhere."""
    return Response(request.app.state.page, media_type="text/html", headers=_PAGE)
