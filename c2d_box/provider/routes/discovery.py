"""``GET /``: what this Provider is and where its sixteen endpoints are. Clients ask before every call, so
it is static."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from c2d_box.provider.services import Services, services

VERSION = "2.1.6"
PREFIX = "/api/services"

ENDPOINTS: dict[str, list[str]] = {
    "nonce": ["GET", f"{PREFIX}/nonce"],
    "encrypt": ["POST", f"{PREFIX}/encrypt"],
    "decrypt": ["POST", f"{PREFIX}/decrypt"],
    "fileinfo": ["POST", f"{PREFIX}/fileinfo"],
    "initialize": ["GET", f"{PREFIX}/initialize"],
    "initializeCompute": ["POST", f"{PREFIX}/initializeCompute"],
    "download": ["GET", f"{PREFIX}/download"],
    "computeStart": ["POST", f"{PREFIX}/compute"],
    "computeStatus": ["GET", f"{PREFIX}/compute"],
    "computeStop": ["PUT", f"{PREFIX}/compute"],
    "computeDelete": ["DELETE", f"{PREFIX}/compute"],
    "computeResult": ["GET", f"{PREFIX}/computeResult"],
    "computeEnvironments": ["GET", f"{PREFIX}/computeEnvironments"],
    "validateContainer": ["POST", f"{PREFIX}/validateContainer"],
    "create_auth_token": ["GET", f"{PREFIX}/createAuthToken"],
    "delete_auth_token": ["DELETE", f"{PREFIX}/deleteAuthToken"],
}


def document(provider: Services) -> dict[str, Any]:
    return {
        "software": "Provider",
        "version": VERSION,
        "providerAddresses": {str(provider.chain_id): provider.key.address},
        "chainIds": [provider.chain_id],
        "serviceEndpoints": ENDPOINTS,
    }


async def root(request: Request) -> Response:
    return Response(request.app.state.discovery, media_type="application/json")


async def healthz(request: Request) -> Response:
    """Ready when the chain can be asked; the root answers regardless."""
    ready = await services(request).ledger.ready()
    return JSONResponse({"ready": ready}, 200 if ready else 503)
