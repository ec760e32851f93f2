"""An outage is told as an outage of the service that is away, with 503: never as an asset that does not
exist, a file that its publisher must mend, or an order that is refused."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from c2d_box.client.services.http_errors import response_error
from c2d_box.provider.app import build_provider_app
from c2d_box.provider.auth.grants import InputGrant
from tests.harness.fake_services import BackgroundServer
from tests.harness.local_stack import CONTAINER, LocalStack, rules, spawned_service
from tests.harness.provider_app import ProviderClient, provider_settings

DID = "did:op:" + "0" * 64
ME = "0x" + "11" * 20
AWAY = "http://127.0.0.1:1"
BLAMES = ("Cannot resolve DID", "file_unavailable", "did_not_found", "no longer", "CREDENTIAL")


def is_outage(answer: httpx.Response, service: str, code: str) -> None:
    assert answer.status_code == 503 and answer.json()["away"] == service, answer.text
    assert int(answer.headers["retry-after"]) > 0 and not any(text in answer.text for text in BLAMES)
    told = response_error(answer, "Provider", "doing something")
    assert told.code == code and service in told.message and told.next_step.startswith("try again")


def quote(**changes: Any) -> dict[str, Any]:
    return {
        "datasets": [{"documentId": DID, "serviceId": "0"}],
        "algorithm": {"documentId": DID, "serviceId": "0"},
        "compute": {"env": "ocean-compute", "validUntil": int(time.time()) + 600},
        "consumerAddress": ME,
        **changes,
    }


@asynccontextmanager
async def reached(app: Starlette) -> AsyncIterator[httpx.AsyncClient]:
    """The started Provider, for tests whose back end answers."""
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://provider") as client,
    ):
        yield client


def test_the_cache_is_away(tmp_path: Path) -> None:
    app = build_provider_app(provider_settings(tmp_path))
    client, looking = ProviderClient(app), {"did": DID, "serviceId": "0"}
    is_outage(client.services("POST", "fileinfo", json=looking), "metadata cache", "C2D-CACHE-AWAY")
    asked = {"documentId": DID, "serviceId": "0", "consumerAddress": ME}
    is_outage(client.services("GET", "initialize", params=asked), "metadata cache", "C2D-CACHE-AWAY")


async def test_the_cache_is_away_when_a_grant_is_redeemed(tmp_path: Path) -> None:
    async def running(request: Request) -> Response:
        return JSONResponse([{"jobId": "job", "dateFinished": None}])

    with BackgroundServer(Starlette(routes=[Route("/api/v1/operator/compute", running)])) as backend:
        app = build_provider_app(provider_settings(tmp_path, operatorServiceUrl=backend.url))
        grants, over = app.state.services.grants, int(time.time()) + 60
        async with reached(app) as client:
            for what in ("file", "ddo"):
                bearer = f"Bearer {grants.seal_grant(InputGrant(what, 'job', DID, over))}"
                answer = await client.get("/api/c2d/grant", headers={"authorization": bearer})
                is_outage(answer, "metadata cache", "C2D-CACHE-AWAY")


def test_nobody_can_say_whether_the_job_of_a_grant_is_alive(tmp_path: Path) -> None:
    app = build_provider_app(provider_settings(tmp_path))
    sealed = app.state.services.grants.seal_grant(InputGrant("file", "job", DID, int(time.time()) + 60))
    answer = ProviderClient(app)("GET", "/api/c2d/grant", headers={"authorization": f"Bearer {sealed}"})
    is_outage(answer, "compute service", "C2D-COMPUTE-AWAY")


def test_the_compute_service_is_away(tmp_path: Path) -> None:
    client = ProviderClient(build_provider_app(provider_settings(tmp_path)))
    for answer in (
        client.services("GET", "computeEnvironments"),
        client.services("POST", "initializeCompute", json=quote()),
        client.services("GET", "compute", params={"consumerAddress": ME}),
    ):
        is_outage(answer, "compute service", "C2D-COMPUTE-AWAY")


async def test_postgresql_is_away(tmp_path: Path) -> None:
    async def refused(request: Request) -> Response:
        return JSONResponse({"error": "PostgreSQL is not available."}, 503)

    with BackgroundServer(Starlette(routes=[Route("/api/v1/operator/compute", refused)])) as backend:
        app = build_provider_app(provider_settings(tmp_path, operatorServiceUrl=backend.url))
        async with reached(app) as client:
            answer = await client.get(f"/api/services/compute?consumerAddress={ME}")
        is_outage(answer, "PostgreSQL", "C2D-DATABASE-AWAY")
        assert answer.json()["error"] == "PostgreSQL is not available."


@pytest.fixture(scope="module")
def published(world: LocalStack) -> dict[str, Any]:
    """A dataset and an algorithm, once at a source that answers and once in a store that is away."""
    away = [{"type": "url", "url": f"{AWAY}/file", "method": "GET"}]
    return {
        "dataset": world.publish(compute=rules(allowRawAlgorithm=True)),
        "algorithm": world.publish("algorithm", [{"type": "url", "url": f"{world.files.url}/algo.py"}]),
        "algorithm away": world.publish("algorithm", away),
        "files away": world.publish(files=away, service="access", price=0),
    }


@pytest.fixture(scope="module")
def provider(world: LocalStack) -> Iterator[str]:
    """With a store of the operator's own that does not answer."""
    changes = {"fetch": {"allow": [world.files.url, AWAY]}, "database": str(world.folder / "away.sqlite")}
    with spawned_service(world, "provider", changes) as url:
        yield url


def ask(url: str, path: str, **request: Any) -> httpx.Response:
    method = "POST" if "json" in request else "GET"
    return httpx.request(method, f"{url}/api/services/{path}", timeout=30, trust_env=False, **request)


def test_the_operators_store_is_away(provider: str, published: dict[str, Any]) -> None:
    dataset = [{"documentId": published["dataset"].did, "serviceId": "0"}]
    algorithm = {"documentId": published["algorithm away"].did, "serviceId": "0"}
    answer = ask(provider, "initializeCompute", json=quote(datasets=dataset, algorithm=algorithm))
    is_outage(answer, "file store", "C2D-STORE-AWAY")
    looking = {"did": published["files away"].did, "serviceId": "0", "checksum": True}
    is_outage(ask(provider, "fileinfo", json=looking), "file store", "C2D-STORE-AWAY")
    query = {"documentId": looking["did"], "serviceId": "0", "consumerAddress": ME, "fileIndex": "0"}
    is_outage(ask(provider, "initialize", params=query), "file store", "C2D-STORE-AWAY")


def test_a_strangers_source_that_is_away_is_his_and_the_reason_is_told(
    world: LocalStack, published: dict[str, Any]
) -> None:
    dataset = [{"documentId": published["dataset"].did, "serviceId": "0"}]
    algorithm = {"documentId": published["algorithm away"].did, "serviceId": "0"}
    answer = world.services("initializeCompute", "POST", json=quote(datasets=dataset, algorithm=algorithm))
    assert answer.status_code == 400 and answer.json()["error"] == {"algorithm": "file_unavailable"}
    assert answer.json()["reasons"] == {"problem": "the host is not a public address"}
    told = response_error(answer, "Provider", "the compute job")
    assert told.code == "C2D-FILE-UNAVAILABLE" and "not a public address" in told.message


def test_the_chain_is_away(world: LocalStack, published: dict[str, Any]) -> None:
    """Everything that asks the chain says so; what does not need it goes on."""
    with spawned_service(world, "provider", {"database": str(world.folder / "chainless.sqlite")}) as url:
        assert ask(url, "nonce", params={"userAddress": ME}).status_code == 200
        world.chain_process.process.send_signal(19)  # SIGSTOP: it takes connections and says nothing
        try:
            asked = {
                "documentId": published["files away"].did,
                "serviceId": "0",
                "consumerAddress": ME,
            }
            is_outage(ask(url, "initialize", params=asked), "chain", "C2D-CHAIN-AWAY")
            call = {"type": "smartcontract", "address": ME, "chainId": 8996, "abi": _abi()}
            is_outage(ask(url, "fileinfo", json=call), "chain", "C2D-CHAIN-AWAY")
            assert ask(url, "nonce", params={"userAddress": ME}).status_code == 200
            assert httpx.get(f"{url}/livez", trust_env=False).status_code == 200
        finally:
            world.chain_process.process.send_signal(18)


def _abi() -> dict[str, Any]:
    return {
        "name": "totalSupply",
        "type": "function",
        "stateMutability": "view",
        "inputs": [],
        "outputs": [{"name": "", "type": "uint256"}],
    }


def test_a_container_is_still_judged_while_all_is_away(tmp_path: Path) -> None:
    client = ProviderClient(build_provider_app(provider_settings(tmp_path)))
    assert client.services("POST", "validateContainer", json=CONTAINER).status_code == 200
