"""The routes and the texts on which clients depend."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from c2d_box.metadata.app import build_cache_app
from c2d_box.metadata.documents import CacheKey
from c2d_box.metadata.routes import cache_routes, document_proof
from c2d_box.metadata.settings import MetadataSettings
from c2d_box.metadata.store import OutcomeState, Publication

KEY = "0x5d75837394b078ce97bc289fa8d75e21000573520bfa7784a9d28ccaae602bf8"
DID = "did:op:" + "ab" * 32


class Client:
    """Calls the application without a socket (and without its indexer)."""

    def __init__(self, app: Starlette) -> None:
        self.app = app

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self._send("GET", path, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:
        return self._send("POST", path, **options)

    def _send(self, method: str, path: str, **options: Any) -> httpx.Response:
        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://cache") as client:
                return await client.request(method, path, **options)

        return asyncio.run(send())


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    (tmp_path / "cache-key").write_text(KEY)
    chain = {"id": 8996, "rpcUrl": "http://127.0.0.1:1", "addressFile": str(tmp_path / "none.json")}
    settings = MetadataSettings.model_validate(
        {"chain": chain, "database": str(tmp_path / "cache.sqlite"), "secretsDir": str(tmp_path)}
    )
    app = build_cache_app(settings)
    yield Client(app)
    app.state.cache.store.close()


def store(client: Client) -> Any:
    return client.app.state.cache.store


def test_the_root_says_what_it_is(client: Client) -> None:
    assert client.get("/").json() == {"plugin": "module", "software": "Aquarius", "version": "5.1.5"}


def test_it_is_not_ready_before_the_chain_is(client: Client) -> None:
    assert client.get("/healthz").status_code == 503 and client.get("/health").status_code == 400
    assert client.get("/livez").status_code == 200 and client.get("/readyz").status_code == 503


def test_an_unknown_did_has_the_text_that_clients_look_for(client: Client) -> None:
    answer = client.get(f"/api/aquarius/assets/ddo/{DID}")
    assert answer.status_code == 404
    assert answer.json() == {"error": f"Asset DID {DID} not found in Elasticsearch."}


def test_a_record_is_given_once_per_version(client: Client) -> None:
    store(client).put_record(DID, {"id": DID, "metadata": {"name": "Ä"}})
    first = client.get(f"/api/aquarius/assets/ddo/{DID}")
    assert first.json() == {"id": DID, "metadata": {"name": "Ä"}}
    tag = {"If-None-Match": first.headers["etag"]}
    assert client.get(f"/api/aquarius/assets/ddo/{DID}", headers=tag).status_code == 304
    store(client).put_record(DID, {"id": DID, "metadata": {"name": "B"}})
    assert client.get(f"/api/aquarius/assets/ddo/{DID}", headers=tag).status_code == 200


def test_metadata_and_names(client: Client) -> None:
    store(client).put_record(DID, {"id": DID, "metadata": {"name": "A"}})
    assert client.get(f"/api/aquarius/assets/metadata/{DID}").json() == {"name": "A"}
    missing = client.get("/api/aquarius/assets/metadata/did:op:x")
    assert missing.status_code == 404
    assert missing.json()["error"].startswith("Error encountered while retrieving metadata: ")
    names = client.post("/api/aquarius/assets/names", json={"didList": [DID, "did:op:x"]})
    assert names.json() == {DID: "A", "did:op:x": ""}


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({}, "`didList` is required in the request payload."),
        ({"didList": []}, "The requested didList can not be empty."),
        ({"didList": "x"}, "The didList must be a list."),
    ],
)
def test_names_refusals(client: Client, body: Any, text: str) -> None:
    answer = client.post("/api/aquarius/assets/names", json=body)
    assert (answer.status_code, answer.json()) == (400, {"error": text})


def test_query(client: Client) -> None:
    store(client).put_record(DID, {"id": DID, "metadata": {"name": "A"}})
    answer = client.post("/api/aquarius/assets/query", json={"query": {"match_all": {}}})
    assert answer.json()["hits"]["total"]["value"] == 1
    refused = client.post("/api/aquarius/assets/query", json={"aggs": {"a": 1}})
    assert (refused.status_code, refused.json()["error"]) == (400, "Not supported in a query: aggs")
    assert client.post("/api/aquarius/assets/query", json=[1]).status_code == 400


def test_the_proof_of_the_published_vector() -> None:
    assert document_proof(CacheKey.from_text(KEY), b'{"a":1}') == {
        "hash": "0x015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862",
        "publicKey": "0xA78deb2Fa79463945C247991075E2a0e98Ba7A09",
        "v": 28,
        "r": ["0x23e8947956e9492c22680e319b0a17dee6d50e0469e746c0d73cc0bdc0498dc7"],
        "s": ["0x63ca0933f1fcabad0a6d570aaebf053319612f07f6f5599e5bd47ad04c60e099"],
    }
    assert set(document_proof(None, b"").values()) == {""}


def validate(client: Client, body: bytes, kind: str = "application/octet-stream") -> Any:
    return client.post("/api/aquarius/assets/ddo/validate", content=body, headers={"content-type": kind})


def test_validate_refusals(client: Client) -> None:
    wrong = validate(client, b"{}", "application/json")
    assert wrong.json() == {"error": "Invalid request content type: should be application/octet-stream"}
    text = "Invalid payload. The request could not be converted into a dict."
    assert validate(client, b"[1]").json() == {"error": text} == validate(client, b"{").json()
    assert validate(client, b'{"a":1}').json() == [{"message": "no version provided for DDO."}]
    problems = validate(client, json.dumps({"version": "4.1.0"}).encode())
    assert problems.status_code == 400 and "id" in problems.json()["errors"]


def test_chains(client: Client) -> None:
    assert client.get("/api/aquarius/chains/list").json() == {"8996": True}
    store(client).add_checkpoint(7, "0xaa")
    assert client.get("/api/aquarius/chains/status/8996").json()["last_block"] == 7
    assert client.get("/api/aquarius/chains/status/1").status_code == 404


def test_the_state_of_an_asset_tells_why_it_is_not_there(client: Client) -> None:
    refused = Publication(DID, "0xNft", "0xtx", 1, 5, "", 0, 0, "", "")
    store(client).put_outcome(refused, OutcomeState.REFUSED, "The document is not JSON.")
    state = client.get("/api/aquarius/state/ddo?nft=0xnft").json()
    assert state == {
        "nft": "0xNft",
        "did": DID,
        "chain_id": 8996,
        "tx_id": "0xtx",
        "valid": False,
        "error": "The document is not JSON.",
    }
    assert client.get("/api/aquarius/state/ddo").status_code == 400
    assert client.get("/api/aquarius/state/ddo?did=x").status_code == 404


def test_the_retry_queue(client: Client) -> None:
    store(client).queue(Publication(DID, "0xnft", "0xtx", 1, 5, "", 0, 0, "", ""), "unreachable")
    hits = client.get("/api/aquarius/state/retryQueue").json()["hits"]
    assert hits["total"]["value"] == 1 and hits["hits"][0]["_source"]["error"] == "unreachable"


@pytest.mark.parametrize(
    "body", [{}, {"transactionId": "0x1", "chainId": 8996}, {"transactionId": "0x" + "a" * 64}]
)
def test_triggering_nonsense(client: Client, body: Any) -> None:
    answer = client.post("/api/aquarius/assets/triggerCaching", json=body)
    assert (answer.status_code, answer.json()) == (400, {"error": "Invalid transactionId or chain_id"})


def test_any_origin_may_read(client: Client) -> None:
    assert client.get("/", headers={"origin": "http://x"}).headers["access-control-allow-origin"] == "*"


def test_a_body_without_end_is_cut_off(client: Client) -> None:
    assert validate(client, b" " * (5 << 20)).status_code == 400


def test_the_schema_of_each_version(client: Client) -> None:
    latest = client.get("/api/aquarius/validation/schema").json()
    assert latest["title"] == "DDO 4.5.0"
    older = client.get("/api/aquarius/validation/schema?version=4.1.0").json()
    assert "maxLength" not in older["properties"]["id"] and latest["properties"]["id"]["maxLength"] == 71
    unknown = client.get("/api/aquarius/validation/schema?version=9")
    assert unknown.status_code == 404 and "4.1.0" in unknown.json()["error"]


def test_every_route_is_described(client: Client) -> None:
    spec = client.get("/spec").json()
    assert set(spec["paths"]) == {route.path for route in cache_routes()}
    for entry in spec["paths"].values():
        for operation in entry.values():
            assert operation["summary"], operation
    parts = {"/" + part for path in spec["paths"] for part in path.split("/") if part.startswith("{")}
    assert parts == {"/{did}", "/{chain}"}
