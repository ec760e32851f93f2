"""Nonces and auth tokens.

A nonce makes a signature good for one request. A token stands in for signatures for some time; it is made and
given up by a signature, never by a token.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from c2d_box.assets.addresses import checksum_address, is_address
from c2d_box.provider.auth import signed_texts
from c2d_box.provider.auth.caller import owner_in
from c2d_box.provider.errors import InvalidParameters, ProviderRefusal
from c2d_box.provider.requests import fields
from c2d_box.provider.requests.parameters import read_parameters
from c2d_box.provider.services import provider_context


async def last_nonce(request: Request) -> Response:
    """The last used nonce as text; clients add one to it."""
    provider = provider_context(request)
    data = await read_parameters(request, provider.settings.limits)
    fields.require_fields(data, fields.NONCE)
    address = owner_in(data, "userAddress")
    if not is_address(address):
        raise InvalidParameters({"userAddress": ["The userAddress format is invalid."]})
    # Public on purpose: a client needs it before it can sign anything, and it proves nothing.
    return JSONResponse({"nonce": provider.nonces.last_used(checksum_address(address))})


async def create_token(request: Request) -> Response:
    provider = provider_context(request)
    data = await read_parameters(request, provider.settings.limits)
    caller = provider.callers.verify_caller(data, fields.CREATE_TOKEN, signed_texts.token_claim(data))
    # First the nonce: a token is the effect that must not come twice of one signature.
    caller.use_nonce(provider.nonces)
    return JSONResponse({"token": provider.tokens.create_token(caller.address, int(data["expiration"]))})


async def delete_token(request: Request) -> Response:
    provider = provider_context(request)
    data = await read_parameters(request, provider.settings.limits)
    caller = provider.callers.verify_caller(data, fields.DELETE_TOKEN, signed_texts.token_claim(data))
    # Only the owner's own, valid token can be given up; the check comes before the nonce is used.
    if problem := provider.tokens.token_problem(str(data["token"]), caller.address):
        raise ProviderRefusal(problem)
    caller.use_nonce(provider.nonces)
    provider.tokens.delete_token(str(data["token"]))
    return JSONResponse({"success": "Token has been deactivated."})
