"""The compute service: environments, quotes, start, status, stop, delete, results.

Decisions are made here and in :mod:`c2d_box.provider.compute`; jobs are kept by operator-service, whose
answers are passed on. Where it does not answer, that is an outage (503) and never an empty list or a refusal:
clients repeat the request then.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from c2d_box.assets.addresses import checksum_address, is_address
from c2d_box.assets.crypto import status_proofs
from c2d_box.provider.auth import signed_texts
from c2d_box.provider.auth.caller import VerifiedCaller, owner_in
from c2d_box.provider.backends.operator_client import OperatorAnswer, OperatorClient, OperatorUnavailable
from c2d_box.provider.compute.algorithms import require_container
from c2d_box.provider.compute.context import ComputeContext
from c2d_box.provider.compute.quoting import quote_job
from c2d_box.provider.compute.starting import accept_job, job_id, submit_job
from c2d_box.provider.errors import ProviderRefusal, ServiceUnavailable, UpstreamError
from c2d_box.provider.requests import fields
from c2d_box.provider.requests.compute_requests import (
    parse_container,
    parse_quote_request,
    parse_start_request,
)
from c2d_box.provider.requests.parameters import query_parameters, read_json_body, read_parameters
from c2d_box.provider.services import ProviderContext, provider_context
from c2d_box.provider.streaming import FileResponse
from c2d_box.strict_json import WRAPPED, parse_json
from c2d_box.workflow import ocean_status

COMPUTE = "compute service"
UNAVAILABLE = "The compute service does not answer. The same request may be sent again."
# Headers of operator-service that describe the bytes; all others are between it and us.
_PASSED_ON = ("content-type", "content-length", "content-disposition", "content-range", "accept-ranges")


async def compute_environments(request: Request) -> Response:
    provider = provider_context(request)
    known = await required_compute(provider).environments.list_environments()
    # The fee's token is this Provider's setting, so operator-service cannot know it.
    token = await provider.ledger.fee_token(provider.settings.fee_token)
    listed = [{**entry, "feeToken": token} for entry in known]
    return JSONResponse({str(provider.chain_id): listed})


async def initialize_compute(request: Request) -> Response:
    provider = provider_context(request)
    # First, so that a Provider without a compute backend answers 404 whatever the request holds.
    context = required_compute(provider)
    data = await read_parameters(request, provider.settings.limits)
    fields.require_fields(data, fields.INITIALIZE_COMPUTE)
    return JSONResponse(await quote_job(context, parse_quote_request(data)))


async def start_compute(request: Request) -> Response:
    """Validated by the rule for parameters, but what is run is in the JSON body."""
    provider = provider_context(request)
    operator, context = required_operator(provider), required_compute(provider)
    # The body first, unlike elsewhere: what is to be run stands there. A query counts only without a body.
    data = await read_json_body(request, provider.settings.limits) or query_parameters(request)
    caller = provider.callers.verify_caller(
        data, fields.START, signed_texts.start_claim(data), request.headers.get("authtoken")
    )
    accepted = await accept_job(context, parse_start_request(data), caller.address)
    # Known before the call, so that a repetition after a lost answer asks for the same job.
    job = job_id(provider.job_key, caller)
    return await _after_use(
        provider,
        caller,
        lambda: submit_job(operator, provider.grants, context.settings, accepted, caller, job),
    )


async def compute_status(request: Request) -> Response:
    """A job nobody knows is an empty list. Unsigned it is coarse; the owner's proof or token opens it."""
    provider = provider_context(request)
    operator = required_operator(provider)
    data = await read_parameters(request, provider.settings.limits)
    fields.require_fields(data, fields.STATUS)
    owner = owner_in(data)
    if not is_address(owner):
        return JSONResponse([])
    try:
        answer = await operator.job_status(checksum_address(owner), _job_parameter(data), provider.chain_id)
    except OperatorUnavailable:
        raise ServiceUnavailable(COMPUTE, UNAVAILABLE) from None
    # Anybody may ask for an address's jobs, but only its owner sees more than their state.
    if answer.status < 400 and isinstance(answer.body, list) and not _asked_by_owner(request, data):
        return JSONResponse([ocean_status.public_status(job) for job in answer.body], answer.status)
    return _passed_on(answer)


def _asked_by_owner(request: Request, data: fields.Data) -> bool:
    """Return whether the owner has proven himself. A proof that does not hold counts as none and is no error,
    because earlier clients sign other texts here."""
    owner, token = owner_in(data), request.headers.get("authtoken")
    if token and provider_context(request).tokens.token_problem(token, owner) is None:
        return True
    return status_proofs.is_owner(
        owner, _job_parameter(data), data.get("nonce"), data.get("signature"), time.time()
    )


async def stop_compute(request: Request) -> Response:
    provider = provider_context(request)
    operator = required_operator(provider)
    data = await read_parameters(request, provider.settings.limits)
    # The quirk: ocean.js 3.3.3 and later sign a stop without DID and nonce, see ``SignedClaim.bare``.
    claim = signed_texts.stop_claim(data, quirks=provider.settings.compat.client_quirks)
    caller = provider.callers.verify_caller(data, fields.STOP, claim, request.headers.get("authtoken"))
    return await _after_use(
        provider, caller, lambda: operator.stop_job(caller.address, _job_parameter(data), provider.chain_id)
    )


async def delete_compute(request: Request) -> Response:
    provider = provider_context(request)
    operator = required_operator(provider)
    data = await read_parameters(request, provider.settings.limits)
    # The quirk: ocean.js signs a deletion with a nonce that it does not send.
    if provider.settings.compat.client_quirks and data.get("nonce") in (None, ""):
        data = {**data, "nonce": _next_nonce(provider, owner_in(data))}
    claim = signed_texts.delete_claim(data)
    caller = provider.callers.verify_caller(data, fields.DELETE, claim, request.headers.get("authtoken"))
    return await _after_use(
        provider, caller, lambda: operator.delete_job(caller.address, _job_parameter(data), provider.chain_id)
    )


async def compute_result(request: Request) -> Response:
    """One result or log, streamed from operator-service."""
    provider = provider_context(request)
    operator = required_operator(provider)
    data = await read_parameters(request, provider.settings.limits)
    claim = signed_texts.result_claim(data)
    caller = provider.callers.verify_caller(data, fields.RESULT, claim, request.headers.get("authtoken"))
    # Used before the result is opened: the bytes that follow are the effect.
    caller.use_nonce(provider.nonces)
    try:
        answer = await operator.open_result(
            caller.address, str(data["jobId"]), str(data["index"]), request.headers.get("range")
        )
    except OperatorUnavailable:
        raise ServiceUnavailable(COMPUTE, UNAVAILABLE) from None
    # An error's body is read whole and passed on as JSON; only results are streamed.
    if answer.status_code not in (200, 206):
        try:
            content = await answer.aread()
        finally:
            await answer.aclose()
        raise UpstreamError(answer.status_code, as_json(content))
    headers = {name: answer.headers[name] for name in _PASSED_ON if name in answer.headers}
    # Browsers hide this header from scripts of other origins unless it is named (CORS).
    headers["access-control-expose-headers"] = "Content-Disposition"
    return FileResponse(answer.aiter_raw(), answer.aclose, answer.status_code, headers)


async def validate_container(request: Request) -> Response:
    data = await read_json_body(request, provider_context(request).settings.limits)
    try:
        require_container(parse_container(data))
    except ProviderRefusal as problem:
        # This endpoint answers with the bare code, where a start puts it at the part of the request.
        code = next(iter(problem.body["error"].values()))
        raise ProviderRefusal(code) from None
    return JSONResponse(data)


async def _after_use(
    provider: ProviderContext, caller: VerifiedCaller, call: Callable[[], Awaitable[OperatorAnswer]]
) -> Response:
    """Use the nonce up, then make the call. Where the nonce is refused, nothing is sent."""
    caller.use_nonce(provider.nonces)
    try:
        return _passed_on(await call())
    except OperatorUnavailable:
        raise ServiceUnavailable(COMPUTE, UNAVAILABLE) from None


def _next_nonce(provider: ProviderContext, owner: str) -> str:
    """Return the nonce that ocean.js signed but does not send: the stored one plus one."""
    if not is_address(owner):
        return ""
    stored = fields.as_number(provider.nonces.last_used(checksum_address(owner)))
    return format(stored + 1, "f") if stored is not None else ""


def _passed_on(answer: OperatorAnswer) -> Response:
    """Return operator-service's answer as ours. Raise UpstreamError for an error, with its status and
    body."""
    if answer.status >= 400:
        raise UpstreamError(answer.status, answer.body)
    return JSONResponse(answer.body, answer.status)


def as_json(content: bytes) -> object:
    """Return the body that operator-service sent instead of a stream."""
    try:
        return parse_json(content, WRAPPED)
    except ValueError:
        return {"error": "The result cannot be read."}


def _job_parameter(data: fields.Data) -> str | None:
    """Return the id that the request names, None where it is about all jobs of the owner."""
    return str(data["jobId"]) if data.get("jobId") else None


def required_operator(provider: ProviderContext) -> OperatorClient:
    """Return the client of operator-service. Raise Refusal (404) where no compute backend is configured."""
    if provider.operator is None:
        raise ProviderRefusal("Compute to Data is not enabled.", status=404, context={})
    return provider.operator


def required_compute(provider: ProviderContext) -> ComputeContext:
    """Return what the rules of computing need. Raise Refusal as :func:`required_operator` does."""
    required_operator(provider)
    # For the type checker: the environments are configured together with the operator.
    assert provider.environments is not None
    return ComputeContext(
        settings=provider.settings,
        key=provider.key,
        catalog=provider.catalog,
        ledger=provider.ledger,
        storage=provider.storage,
        environments=provider.environments,
        consumers=provider.consumers,
    )
