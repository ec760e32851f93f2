"""An API server in this process: a :class:`MemoryCluster` behind Kubernetes' own paths, for the clients."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from c2d_box.kubernetes.memory import MemoryCluster
from c2d_box.kubernetes.port import AlreadyExists, ClusterError, ResourceKind, VersionConflict

_PATH = re.compile(r"(/api/v1|/apis/[^/]+/[^/]+)(/namespaces/[^/]+)?/([^/]+)(?:/([^/]+))?(/status)?")
_REASONS = {AlreadyExists: "AlreadyExists", VersionConflict: "Conflict"}


class ApiServer:
    """Answers requests that carry ``token``."""

    def __init__(self, token: str) -> None:
        self.token = token
        self.cluster = MemoryCluster()
        self.patch_kinds: list[str] = []

    def app(self) -> Starlette:
        methods = ["GET", "POST", "PATCH", "DELETE"]
        return Starlette(routes=[Route("/{path:path}", self._serve, methods=methods)])

    async def _serve(self, request: Request) -> Response:
        if request.headers.get("authorization") != f"Bearer {self.token}":
            return JSONResponse({"reason": "Unauthorized", "message": "Unauthorized"}, 401)
        found = _PATH.fullmatch(request.url.path)
        if found is None:
            return JSONResponse({"message": "no such path"}, 404)
        prefix, scope, plural, name, status = found.groups()
        kind = ResourceKind(prefix, plural, namespaced=scope is not None)
        body = json.loads(await request.body() or b"null")
        try:
            if name is None:
                return await self._serve_list(request, kind, body)
            return JSONResponse(await self._serve_object(request, kind, name, body, status is not None))
        except ClusterError as error:
            reason = _REASONS.get(type(error), "")
            return JSONResponse({"reason": reason, "message": error.message}, error.status)

    async def _serve_list(self, request: Request, kind: ResourceKind, body: Any) -> Response:
        if request.method == "POST":
            return JSONResponse(await self.cluster.create(kind, body), 201)
        query = request.query_params
        if "watch" in query:
            return StreamingResponse(self._changes(kind, query["resourceVersion"]))
        items, version = await self.cluster.list(kind, query.get("labelSelector", ""))
        start, size = int(query.get("continue", "0")), int(query.get("limit", "500"))
        more = {"continue": str(start + size)} if start + size < len(items) else {}
        page = items[start : start + size]
        return JSONResponse({"items": page, "metadata": {"resourceVersion": version, **more}})

    async def _changes(self, kind: ResourceKind, version: str) -> AsyncIterator[str]:
        async for change in self.cluster.watch(kind, version):
            yield json.dumps({"type": change.kind, "object": change.object}) + "\n"

    async def _serve_object(
        self, request: Request, kind: ResourceKind, name: str, body: Any, status: bool
    ) -> Any:
        if request.method == "DELETE":
            uid = ((body or {}).get("preconditions") or {}).get("uid")
            if await self.cluster.delete(kind, name, uid=uid):
                return {}
        elif request.method == "PATCH":
            self.patch_kinds.append(request.headers["content-type"])
            if isinstance(body, list):
                return await self.cluster.patch_json(kind, name, body)
            return await self.cluster.patch(kind, name, body, status=status)
        elif found := await self.cluster.get(kind, name):
            return found
        raise ClusterError(f"{kind.plural} {name} not found", 404)
