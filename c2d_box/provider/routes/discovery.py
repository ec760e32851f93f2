"""``GET /``, which describes this Provider and lists its sixteen endpoints, and the health and API
description routes. Clients ask for ``/`` before every call, so it is static."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from c2d_box.provider.services import Services, services
from c2d_box.service import liveness

VERSION = "2.1.6"
PREFIX = "/api/services"
_PAGE = {"content-security-policy": "default-src 'none'; style-src 'unsafe-inline'"}


def document(provider: Services, endpoints: dict[str, list[str]]) -> dict[str, Any]:
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
    provider = services(request)
    ready = provider.ledger.was_opened or await provider.ledger.ready()
    answer: dict[str, Any] = {"ready": ready}
    if "verbose" in request.query_params:
        answer["away"] = [name for name, answers in (await _asked(provider)).items() if not answers]
    return JSONResponse(answer, 200 if ready else 503)


async def _asked(provider: Services) -> dict[str, bool]:
    asked = {"chain": provider.ledger.ready(), "metadata cache": provider.catalog.ready()}
    if provider.operator is not None:
        asked["compute service"] = provider.operator.ready()
    return dict(zip(asked, await asyncio.gather(*asked.values()), strict=True))


async def healthz(request: Request) -> Response:
    """Ready when the chain can be asked; the root answers regardless."""
    ready = await services(request).ledger.ready()
    return JSONResponse({"ready": ready}, 200 if ready else 503)


async def spec(request: Request) -> Response:
    """OpenAPI 3.1, made from the routes themselves."""
    return Response(request.app.state.spec, media_type="application/json")


async def page(request: Request) -> Response:
    """One page without scripts or anything from elsewhere."""
    return Response(request.app.state.page, media_type="text/html", headers=_PAGE)
