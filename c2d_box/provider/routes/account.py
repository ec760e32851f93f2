"""Nonces and auth tokens."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from c2d_box.assets.addresses import checksum, is_address
from c2d_box.provider import claims, fields
from c2d_box.provider.caller import owner_in
from c2d_box.provider.errors import Invalid, Refusal
from c2d_box.provider.incoming import parameters
from c2d_box.provider.services import services


async def nonce(request: Request) -> Response:
    """The last used nonce as text; clients add one to it."""
    provider = services(request)
    data = await parameters(request, provider.settings.limits)
    checked = fields.check(data, fields.NONCE)
    if checked.errors:
        raise Invalid(checked.errors)
    address = owner_in(data, "userAddress")
    if not is_address(address):
        raise Invalid({"userAddress": ["The userAddress format is invalid."]})
    return JSONResponse({"nonce": provider.nonces.stored(checksum(address))})


async def create_token(request: Request) -> Response:
    provider = services(request)
    data = await parameters(request, provider.settings.limits)
    caller = provider.callers.verified(data, fields.CREATE_TOKEN, claims.token(data))
    caller.use_nonce(provider.nonces)
    return JSONResponse({"token": provider.tokens.create(caller.address, int(data["expiration"]))})


async def delete_token(request: Request) -> Response:
    provider = services(request)
    data = await parameters(request, provider.settings.limits)
    caller = provider.callers.verified(data, fields.DELETE_TOKEN, claims.token(data))
    if problem := provider.tokens.problem(str(data["token"]), caller.address):
        raise Refusal(problem)
    caller.use_nonce(provider.nonces)
    provider.tokens.delete(str(data["token"]))
    return JSONResponse({"success": "Token has been deactivated."})
