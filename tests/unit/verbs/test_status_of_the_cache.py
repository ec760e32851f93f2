"""``status`` says why the metadata cache is not ready, in the cache's own words."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from c2d_box.kubernetes.sync_client import KubeApi
from sandbox.verbs.lifecycle.status import _own_reason
from tests.harness.fake_services import BackgroundServer

REASON = "block 48 of 49 is read, 1 are missing; blocks cannot be processed (ValueError)"


async def readyz(request: Request) -> Response:
    """As the API server hands it on: the pod's status and body."""
    match request.path_params["pod"]:
        case "cache-1:5000":
            return JSONResponse({"ready": False, "behind": 1, "reason": REASON}, 503)
        case "cache-2:5000":
            return JSONResponse({"kind": "Status", "reason": "ServiceUnavailable"}, 503)
    return PlainTextResponse("[" * 100_000, 502)


@pytest.fixture
def kube() -> Iterator[KubeApi]:
    path = "/api/v1/namespaces/c2d/pods/{pod}/proxy/readyz"
    app = Starlette(routes=[Route(path, readyz)])
    with BackgroundServer(app) as server, KubeApi(httpx.Client(base_url=server.url, trust_env=False)) as made:
        yield made


@pytest.mark.parametrize(("pod", "reason"), [("cache-1", REASON), ("cache-2", ""), ("cache-3", "")])
def test_the_caches_own_reason_is_shown(kube: KubeApi, pod: str, reason: str) -> None:
    assert _own_reason(kube, "cache", [{"metadata": {"name": pod}}]) == reason
    assert _own_reason(kube, "cache", []) == ""
