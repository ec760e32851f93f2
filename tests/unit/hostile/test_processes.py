"""Provider, cache and chain as real processes, under bytes that ended or stopped them once: no crash, no
5xx, bounded memory, and afterwards everything works."""

from __future__ import annotations

import hashlib
import http.client
import json
import lzma
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from c2d_box.chain.publishing import DispenserTerms, create_asset, set_metadata
from c2d_box.metadata.routes import cache_routes
from c2d_box.provider.route_table import ENDPOINTS
from sandbox.testchain.methods import METHODS
from tests.harness.fake_services import free_port
from tests.harness.local_stack import LocalStack
from tests.harness.process_memory import memory_mib
from tests.unit.hostile.corpus import DEEP, TEXTS, texts, with_deep

JSON = {"Content-Type": "application/json"}
FIELDS = (
    "datasets",
    "dataset.documentId",
    "dataset.userdata",
    "additionalDatasets",
    "algorithm.documentId",
    "algorithm.meta",
    "algorithm.meta.container",
    "algorithm.algocustomdata",
    "compute.env",
    "compute.validUntil",
    "consumerAddress",
    "documentId",
    "serviceId",
    "userdata",
    "output",
    "nonce",
    "signature",
    "type",
    "url",
    "headers",
    "did",
    "transactionId",
    "didList",
    "query",
    "sort",
    "aggs",
    "params",
    "method",
    "id",
)
QUOTE = {
    "datasets": [{"documentId": "did:op:" + "a" * 64, "serviceId": "0", "userdata": {"a": 1}}],
    "algorithm": {"documentId": "did:op:" + "b" * 64, "serviceId": "0", "meta": {"container": {}}},
    "compute": {"env": "ocean-compute", "validUntil": 1_900_000_000},
    "consumerAddress": "0xE2DD09d719Da89e5a3D0F2549c7E24566e947260",
}
START = {
    "dataset": {"documentId": "did:op:" + "a" * 64, "serviceId": "0", "transferTxId": "0x1"},
    "algorithm": {"meta": {"rawcode": "x" * 20, "container": {"image": "i"}}},
    "environment": "ocean-compute",
    "consumerAddress": "0xE2DD09d719Da89e5a3D0F2549c7E24566e947260",
    "nonce": 1,
    "signature": "0x" + "1" * 130,
    "output": "{}",
}
LOOK = {"type": "url", "url": "http://127.0.0.1:9/x", "headers": {"a": "b"}, "userdata": "{}"}
SEARCH = {
    "from": 0,
    "size": 10,
    "query": {"bool": {"must": [{"term": {"chainId": 8996}}], "filter": [{"terms": {"_id": ["a"]}}]}},
    "sort": {"event.block": "desc"},
}
CALL = {"jsonrpc": "2.0", "id": 1, "method": "eth_call", "params": [{"to": "0x" + "1" * 40}, "latest"]}


def targets(world: LocalStack) -> Iterator[tuple[str, str, str]]:
    """Each method and path of each port."""
    for endpoint in ENDPOINTS:
        yield endpoint.method, world.provider_url, endpoint.path
    for route in cache_routes():
        for method in (route.methods or set()) - {"HEAD"}:
            path = route.path.replace("{did}", "did:op:1").replace("{chain}", "8996")
            yield method, world.cache_url, path
    yield "POST", world.chain_process.url, "/"


def alive(world: LocalStack) -> None:
    for process in world.processes:
        assert process.poll() is None
    assert world.chain_process.process.poll() is None
    assert httpx.get(f"{world.provider_url}/healthz", trust_env=False).status_code == 200
    assert httpx.get(f"{world.cache_url}/healthz", trust_env=False).status_code == 200


def peaks(world: LocalStack) -> float:
    pids = [process.pid for process in world.processes] + [world.chain_process.process.pid]
    return max(memory_mib(pid, "VmHWM") for pid in pids)


def test_200_000_brackets_to_each_port_route_and_field(world: LocalStack) -> None:
    sent = 0
    with httpx.Client(trust_env=False, timeout=60) as client:
        for method, base, path in targets(world):
            bodies = [TEXTS["brackets"], TEXTS["braces"], TEXTS["closed brackets"]]
            if method != "GET":
                bodies += [with_deep(field, 60_000) for field in FIELDS]
            for body in bodies:
                answer = client.request(method, base + path, content=body, headers=JSON)
                assert answer.status_code < 500, (method, path, body[:40], answer.text)
                sent += 1
    assert sent > 200
    alive(world)


def test_brackets_in_a_query(world: LocalStack) -> None:
    """Written as they are: a client's library would write three bytes for each."""
    deep = "[" * 100_000
    for base, path in (
        (
            world.provider_url,
            "/api/services/initialize?documentId=a&serviceId=0&consumerAddress=0x&userdata=",
        ),
        (world.provider_url, "/api/services/download?userdata="),
        (world.provider_url, "/api/services/compute?jobId="),
        (world.cache_url, "/api/aquarius/state/ddo?did="),
        (world.chain_process.url, "/c2d/head?after="),
    ):
        parts = urlsplit(base)
        connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=60)
        connection.request("GET", path + deep)
        assert connection.getresponse().status < 500, path
        connection.close()
    alive(world)


def test_the_corpus_gets_an_answer_below_500_and_memory_stays_bounded(
    world: LocalStack, seed: str, mutations: int
) -> None:
    before = peaks(world)
    with httpx.Client(trust_env=False, timeout=60) as client:
        for base, path, template in (
            (world.provider_url, "/api/services/initializeCompute", QUOTE),
            (world.provider_url, "/api/services/compute", START),
            (world.provider_url, "/api/services/fileinfo", LOOK),
            (world.provider_url, "/api/services/validateContainer", START["algorithm"]),
            (world.cache_url, "/api/aquarius/assets/query", SEARCH),
            (world.cache_url, "/api/aquarius/assets/names", {"didList": ["did:op:1"]}),
            (world.cache_url, "/api/aquarius/assets/triggerCaching", {"transactionId": "0x1", "chainId": 1}),
            (world.cache_url, "/api/aquarius/assets/ddo/validate", {"version": "4.1.0", "services": [{}]}),
            (world.chain_process.url, "/", CALL),
        ):
            octets = {"Content-Type": "application/octet-stream"}
            headers = octets if path.endswith("validate") else JSON
            for name, body in texts(seed, mutations, template):
                answer = client.post(base + path, content=body, headers=headers)
                assert answer.status_code < 500, (path, name, answer.text)
    grown = peaks(world) - before
    print(f"{grown:.0f} MiB more at the peak")
    assert grown < 250
    alive(world)


def test_literal_dotted_keys_are_400(world: LocalStack) -> None:
    answer = world.services("initializeCompute", "POST", content=TEXTS["dotted keys"], headers=JSON)
    assert answer.status_code == 400
    assert "algorithm.documentId" in answer.json()["errors"]
    assert "compute.env" in answer.json()["errors"]


@pytest.mark.parametrize("name", ["brackets", "surrogate value", "NaN", "NUL", "digits"])
def test_the_reason_for_a_refused_body_is_said(world: LocalStack, name: str) -> None:
    answer = world.services("initializeCompute", "POST", content=TEXTS[name], headers=JSON)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("The request body cannot be used.")


HOSTILE_DOCUMENTS = (
    "what ended the Provider",
    "surrogate value",
    "NUL",
    "digits",
    "not UTF-8",
    "hundred deep",
)


def test_hostile_documents_on_the_chain_hold_up_nobody(world: LocalStack) -> None:
    """As 218 bytes on the chain they crashed the cache at each start."""
    publisher = world.account(3)
    for name in HOSTILE_DOCUMENTS:
        text = TEXTS[name]
        made = create_asset(world.chain, publisher, "x", "X", DispenserTerms())
        digest = hashlib.sha256(text).hexdigest()
        packed = lzma.compress(text, lzma.FORMAT_ALONE)
        set_metadata(world.chain, publisher, made.nft, 0, world.provider_url, 1, packed, digest)
    bomb = lzma.compress(bytes(64 << 20), lzma.FORMAT_ALONE)
    made = create_asset(world.chain, publisher, "x", "X", DispenserTerms())
    set_metadata(world.chain, publisher, made.nft, 0, world.provider_url, 1, bomb, "0" * 64)
    began = time.monotonic()
    world.publish()  # waits until it is indexed
    assert time.monotonic() - began < 30
    alive(world)


@pytest.mark.parametrize(
    "name", ["what ended the Provider", "surrogate value", "a list", "null", "not UTF-8"]
)
def test_a_hostile_sealed_files_document_is_a_refusal(world: LocalStack, name: str) -> None:
    asset = world.publish()
    asset.document["services"][0]["files"] = world.encrypt(TEXTS[name])
    world.update(asset)
    for method, path, query in (
        ("POST", "fileinfo", {"did": asset.did, "serviceId": "0"}),
        ("POST", "initializeCompute", {**QUOTE, "datasets": [{"documentId": asset.did, "serviceId": "0"}]}),
    ):
        answer = world.services(path, method, json=query)
        assert 400 <= answer.status_code < 500, answer.text
    alive(world)


def test_deep_consumer_parameters_and_options_are_refused_not_fatal(world: LocalStack) -> None:
    described = [
        {"name": "n", "type": "select", "label": "l", "required": True, "default": "a", "description": "d",
         "options": "[" * 20_000}
    ]  # fmt: skip
    asset = world.publish(service="access", files=None)
    asset.document["services"][0]["consumerParameters"] = described
    world.rewrite(asset)
    query = {
        "documentId": asset.did,
        "serviceId": "0",
        "consumerAddress": world.account(7).address,
        "userdata": json.dumps({"n": "x"}),
    }
    assert world.services("initialize", params=query).status_code < 500
    alive(world)


def test_the_recursion_limit_of_no_process_matters(world: LocalStack) -> None:
    """Each JSON-RPC method, with parameters too deep for any parser."""
    with httpx.Client(trust_env=False, timeout=60, base_url=world.chain_process.url) as client:
        for method in METHODS:
            body = b'{"jsonrpc":"2.0","id":1,"method":"%b","params":' % method.encode() + b"[" * DEEP
            answer = client.post("/", content=body, headers=JSON)
            assert answer.status_code == 200, method
            assert answer.json()["error"]["message"] == "parse error"
    alive(world)


_TELLING = """
import runpy, sys, threading, time
from pathlib import Path

def tell(place):
    while True:
        place.write_text(str(sys.getrecursionlimit()))
        time.sleep(0.1)

threading.Thread(target=tell, args=(Path(sys.argv[1]),), daemon=True).start()
module = sys.argv[2]
sys.argv[1:] = sys.argv[3:]
runpy.run_module(module, run_name="__main__")
"""


@pytest.mark.parametrize("package", ["provider", "metadata"])
def test_a_started_service_has_the_usual_recursion_limit(
    world: LocalStack, tmp_path: Path, package: str
) -> None:
    settings = {**world.settings[package], "database": str(tmp_path / "copy.sqlite")}
    port = free_port()
    settings["listen"] = {"host": "127.0.0.1", "port": port}
    (tmp_path / "config.json").write_text(json.dumps(settings))
    arguments = (f"c2d_box.{package}", "--config", str(tmp_path / "config.json"))
    assert told(tmp_path / "limit", f"http://127.0.0.1:{port}/healthz", *arguments) == "1000"


def test_a_started_chain_has_the_usual_recursion_limit(tmp_path: Path) -> None:
    """Ready: it has deployed Ocean's contracts, which takes the raised limit for a while."""
    port = free_port()
    settings = {"listen": {"host": "127.0.0.1", "port": port}, "dataDir": str(tmp_path / "chain")}
    (tmp_path / "config.json").write_text(json.dumps(settings))
    arguments = ("sandbox.testchain", "--config", str(tmp_path / "config.json"))
    assert told(tmp_path / "limit", f"http://127.0.0.1:{port}/healthz", *arguments) == "1000"


def told(place: Path, health: str, module: str, *arguments: str) -> str:
    """What a service says of itself once it is ready."""
    command = [sys.executable, "-c", _TELLING, str(place), module, *arguments]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            began = time.monotonic()
            while not _is_ready(health):
                assert process.poll() is None and time.monotonic() - began < 180
                time.sleep(0.1)
            time.sleep(0.5)
            return place.read_text()
        finally:
            process.terminate()


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False
