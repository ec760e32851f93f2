"""``GET /``: what this Provider is and where its sixteen endpoints are. Clients ask before every call, so
it is static."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from c2d_box.provider.services import Services, services

VERSION = "2.1.6"
PREFIX = "/api/services"
_PAGE = {"content-security-policy": "default-src 'none'; style-src 'unsafe-inline'"}


def document(provider: Services, endpoints: dict[str, list[str]]) -> dict[str, Any]:
    """``endpoints``: method and path by name; clients count them."""
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
