"""The engine's internal port: where the pods of a job report and wait. Nothing here is for consumers.

Each call carries the token of its job and stage; a wrong one gets 401 and learns nothing else.
"""

from __future__ import annotations

import json
from typing import cast

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from c2d_box.operator_engine.controller import Controller
from c2d_box.operator_engine.reports import Answer
from c2d_box.workflow.names import Stage

LONG_POLL_SECONDS = 25.0
_BODY_LIMIT = 8 << 20
_STAGES = frozenset({"configuration", "judge", "upload"})


def application(controller: Controller) -> Starlette:
    async def healthz(_: Request) -> Response:
        ready = controller.synced
        return JSONResponse({"ready": ready, "leading": controller.leading}, 200 if ready else 503)

    async def figures(_: Request) -> Response:
        return JSONResponse(controller.measured())

    async def report(request: Request) -> Response:
        job, stage = request.path_params["job"], request.path_params["stage"]
        if (refusal := _refusal(controller, request, job, stage)) is not None:
            return refusal
        body = await _body(request)
        if body is None:
            return JSONResponse({"error": "a JSON object is expected"}, 400)
        return _answer(await controller.report(job, cast(Stage, stage), body))

    async def go_ahead(request: Request) -> Response:
        job = request.path_params["job"]
        if (refusal := _refusal(controller, request, job, "judge")) is not None:
            return refusal
        found = await controller.go_ahead(job, LONG_POLL_SECONDS)
        return _answer(found) if isinstance(found, Answer) else JSONResponse(found.model_dump())

    return Starlette(
        routes=[
            Route("/healthz", healthz),
            Route("/figures", figures),
            Route("/v1/jobs/{job}/judge/go-ahead", go_ahead),
            Route("/v1/jobs/{job}/{stage}/report", report, methods=["POST"]),
        ]
    )


def _refusal(controller: Controller, request: Request, job: str, stage: str) -> Response | None:
    if not controller.synced:
        return JSONResponse({"error": "starting"}, 503)
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    if stage not in _STAGES or kind.lower() != "bearer":
        return JSONResponse({"error": "no token"}, 401)
    if controller.world.workflow(job) is None:
        return JSONResponse({"error": "there is no such job"}, 410)
    if not controller.authorized(job, cast(Stage, stage), token.strip()):
        return JSONResponse({"error": "wrong token"}, 401)
    return None


async def _body(request: Request) -> dict[str, object] | None:
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > _BODY_LIMIT:
            return None
        chunks.append(chunk)
    try:
        found = json.loads(b"".join(chunks))
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _answer(answer: Answer) -> Response:
    if answer.status == 204:
        return Response(status_code=204)
    return JSONResponse({"error": answer.text} if answer.text else answer.content, answer.status)
