"""Routes of the engine's internal port, where the pods of a job report and wait. None is for consumers.

Each call carries the token of its job and stage; a wrong one gets 401 and learns nothing else.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import cast

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from c2d_box import limits
from c2d_box.operator_engine.controller import Controller
from c2d_box.operator_engine.pod_api.evidence_signer import EvidenceSigner
from c2d_box.operator_engine.pod_api.pod_reports import PodReports
from c2d_box.operator_engine.pod_api.presigned_uploads import PresignedUploads
from c2d_box.operator_engine.pod_api.register_relay import RegisterRelay, RelayTargetAway
from c2d_box.operator_engine.rules import stage_reports
from c2d_box.operator_engine.rules.stage_reports import PodAnswer
from c2d_box.service.liveness import LIVEZ
from c2d_box.service.request_body import BodyRefused, answer_refused_body, read_body
from c2d_box.strict_json import JsonLimits, JsonRefused, parse_json, parse_object
from c2d_box.workflow.names import Stage

LONG_POLL_SECONDS = 25.0
"""Shorter than the pods' own time-out for such a call (60 s), so that a poll ends
with 204 and not with an error.
"""
Handler = Callable[[Request], Awaitable[Response]]
_LIMITS = JsonLimits(size_bytes=limits.REPORT_BYTES, values=1_000_000)
"""A report lists every staged input or every output, so it may hold more values than other documents."""
_STAGES = frozenset({"configuration", "judge", "upload", "register"})
"""The stages a path may name; anything else is refused before a token is derived for it."""


def pod_application(
    controller: Controller,
    reports: PodReports,
    signer: EvidenceSigner,
    relay: RegisterRelay | None = None,
    uploads: PresignedUploads | None = None,
    *,
    is_current: Callable[[], bool],
) -> Starlette:
    """Return the application of the internal port. ``relay`` is None where results cannot become assets,
    ``uploads`` None where they are not stored in S3. ``is_current`` says whether the engine still follows the
    cluster; one that does not is not ready.
    """

    async def healthz(_: Request) -> Response:
        # A follower is ready too: it answers pods. An engine that has no list yet knows no job.
        ready = controller.synced and is_current()
        return JSONResponse({"ready": ready, "leading": controller.leading}, 200 if ready else 503)

    async def figures(_: Request) -> Response:
        return JSONResponse(controller.measured())

    async def report(request: Request) -> Response:
        job, stage = request.path_params["job"], request.path_params["stage"]
        # The token comes first, also before the body is read: a stranger's bytes are not parsed.
        if (refusal := _refusal(controller, reports, request, job, stage)) is not None:
            return refusal
        body = await _read_report(request)
        return _as_response(await reports.take_report(job, cast(Stage, stage), body))

    async def evidence(request: Request) -> Response:
        job = request.path_params["job"]
        if (refusal := _refusal(controller, reports, request, job, "upload")) is not None:
            return refusal
        body = await _read_report(request)
        found = await signer.sign_evidence(job, body)
        # Either the record, or the answer that says why there is none.
        return _as_response(found) if isinstance(found, PodAnswer) else JSONResponse({"record": found})

    async def places(request: Request) -> Response:
        job = request.path_params["job"]
        if (refusal := _refusal(controller, reports, request, job, "upload")) is not None:
            return refusal
        found = PodAnswer(409, "results are not kept in S3")
        offered = found if uploads is None else uploads.sign_uploads(job, await _read_report(request))
        return _as_response(offered) if isinstance(offered, PodAnswer) else JSONResponse({"slots": offered})

    async def go_ahead(request: Request) -> Response:
        job = request.path_params["job"]
        if (refusal := _refusal(controller, reports, request, job, "judge")) is not None:
            return refusal
        found = await reports.await_go_ahead(job, LONG_POLL_SECONDS)
        return _as_response(found) if isinstance(found, PodAnswer) else JSONResponse(found.model_dump())

    return Starlette(
        routes=[
            LIVEZ,
            Route("/readyz", healthz),
            Route("/healthz", healthz),
            Route("/figures", figures),
            Route("/v1/jobs/{job}/judge/go-ahead", go_ahead),
            Route("/v1/jobs/{job}/{stage}/report", report, methods=["POST"]),
            Route("/v1/jobs/{job}/upload/evidence", evidence, methods=["POST"]),
            Route("/v1/jobs/{job}/upload/slots", places, methods=["POST"]),
            *register_routes(controller, reports, relay),
        ],
        exception_handlers={BodyRefused: answer_refused_body},
    )


def register_routes(controller: Controller, reports: PodReports, relay: RegisterRelay | None) -> list[Route]:
    """Return the register container's routes: its long poll, its intents, and the calls relayed for it."""

    async def go_ahead(request: Request) -> Response:
        found = await reports.await_upload(request.path_params["job"], LONG_POLL_SECONDS)
        if isinstance(found, PodAnswer):
            return _as_response(found)
        return JSONResponse(await _relay_handler(relay).order(found))

    async def intent(request: Request) -> Response:
        body = await _read_report(request)
        # Checked by hand: three texts, of which `raw` may be as long as a transaction
        # with an asset's description.
        step, raw, replaces = body.get("step"), body.get("raw"), body.get("replaces")
        good = isinstance(step, str) and isinstance(raw, str) and isinstance(replaces, str | None)
        if not good or len(str(step)) > 20 or len(str(raw)) > limits.TRANSACTION_CHARACTERS:
            return JSONResponse({"error": "not an intent"}, 422)
        job = request.path_params["job"]
        before = cast("str | None", replaces)
        return _as_response(
            await reports.update_status(
                job, lambda seen: stage_reports.take_intent(seen, str(step), str(raw), before)
            )
        )

    async def rpc(request: Request) -> Response:
        try:
            # A batch is a list, so this body need not be an object.
            call = parse_json(await _content(request), _LIMITS)
        except JsonRefused as refused:
            raise BodyRefused(400, refused.reason) from None
        try:
            return JSONResponse(await _relay_handler(relay).rpc(call))
        except ValueError as problem:
            # 403 is final for the container, which gives up: it has asked for what it never needs.
            return JSONResponse({"error": str(problem)}, 403)

    async def seal(request: Request) -> Response:
        """Encrypt the body; or, with ``nft`` and ``datatoken`` in the query, a document of the
        job's results."""
        nft, datatoken = request.query_params.get("nft"), request.query_params.get("datatoken")
        # The list of results is taken from the status: the container that holds the key names no file.
        if nft and datatoken:
            workflow = controller.job_cache.workflow(request.path_params["job"])
            if workflow is None:
                return JSONResponse({"error": "there is no such job"}, 410)
            return JSONResponse({"sealed": await _relay_handler(relay).seal_files(workflow, nft, datatoken)})
        return JSONResponse({"sealed": await _relay_handler(relay).seal(await _content(request))})

    def only_register(handler: Handler) -> Handler:
        async def guarded(request: Request) -> Response:
            refusal = _refusal(controller, reports, request, request.path_params["job"], "register")
            if refusal is not None:
                return refusal
            try:
                return await handler(request)
            # 503 makes the container ask again; its own deadline ends that.
            except RelayTargetAway as problem:
                return JSONResponse({"error": str(problem)}, 503)

        return guarded

    base = "/v1/jobs/{job}/register"
    return [
        Route(f"{base}/go-ahead", only_register(go_ahead)),
        Route(f"{base}/intent", only_register(intent), methods=["POST"]),
        Route(f"{base}/rpc", only_register(rpc), methods=["POST"]),
        Route(f"{base}/seal", only_register(seal), methods=["POST"]),
    ]


def _relay_handler(relay: RegisterRelay | None) -> RegisterRelay:
    """Return the relay; where there is none every call of the register container is answered 503."""
    if relay is None:
        raise RelayTargetAway("publishing as an asset is not configured")
    return relay


def _refusal(
    controller: Controller, reports: PodReports, request: Request, job: str, stage: str
) -> Response | None:
    """Return the answer for a call that is not let in, None for one that is."""
    # Not 410: the pod of a running job would take that for the job's end and give up.
    if not controller.synced:
        return JSONResponse({"error": "starting"}, 503)
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    # Bearer tokens as of RFC 6750; the scheme's case does not count.
    if stage not in _STAGES or kind.lower() != "bearer":
        return JSONResponse({"error": "no token"}, 401)
    if not reports.is_authorized(job, cast(Stage, stage), token.strip()):
        return JSONResponse({"error": "wrong token"}, 401)
    if controller.job_cache.workflow(job) is None:
        return JSONResponse({"error": "there is no such job"}, 410)
    return None


async def _content(request: Request) -> bytes:
    """Return the body, of at most ``REPORT_BYTES``. Raises BodyRefused."""
    return await read_body(request, limits.REPORT_BYTES)


async def _read_report(request: Request) -> dict[str, object]:
    """Return the body's JSON object. Raises BodyRefused (400) for anything else."""
    try:
        return parse_object(await _content(request), _LIMITS)
    except JsonRefused as refused:
        raise BodyRefused(400, f"a JSON object is expected. {refused.reason}") from None


def _as_response(answer: PodAnswer) -> Response:
    """Return an answer of the rules as HTTP: 204 without a body, an error's text, or a success's content."""
    if answer.status == 204:
        return Response(status_code=204)
    return JSONResponse({"error": answer.text} if answer.text else answer.content, answer.status)
