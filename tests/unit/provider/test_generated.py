"""Requests nobody would write: from the API's own description, and around what is signed, published or
fetched. Whatever comes, the answer is a described one, it comes, and nothing of it stays in memory.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given
from hypothesis import seed as seeded
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from c2d_box.assets.crypto import signatures
from c2d_box.assets.files import FILE_TYPES
from c2d_box.provider.openapi.document import describe_provider_api
from c2d_box.provider.route_table import ENDPOINTS
from c2d_box.provider.routes.discovery import VERSION
from tests.conftest import sample_cells
from tests.harness.fake_services import StaticCache
from tests.harness.local_stack import LocalStack, spawned_service
from tests.harness.process_memory import resident_mib

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
SPEC = describe_provider_api(ENDPOINTS, version=VERSION, chain_id=8996, url="http://127.0.0.1:8030")
SCHEMA = schemathesis.openapi.from_dict(SPEC)
GROWTH_MIB = 24
Judge = Callable[[Any], None]
Decorator = Callable[[Judge], None]
Many = Callable[[int, Any], Decorator]


@pytest.fixture(scope="module")
def session() -> Iterator[requests.Session]:
    with requests.Session() as made:
        made.trust_env = False
        yield made


@pytest.fixture
def many(request: pytest.FixtureRequest, seed: str) -> Many:
    """Runs a judgement on so many generated values; a twentieth of them without ``--full``."""
    full = request.config.getoption("--full")

    def run(count: int, strategy: Any) -> Decorator:
        def decorate(judge: Judge) -> None:
            limits = hypothesis_settings(
                max_examples=count if full else max(count // 20, 5),
                deadline=None,
                database=None,
                suppress_health_check=list(HealthCheck),
            )
            run_it: Any = seeded(seed)(limits(given(strategy)(judge)))  # type: ignore[no-untyped-call]
            run_it()

        return decorate

    return run


def test_whatever_is_asked_is_answered_as_described(
    world: LocalStack, session: Any, many: Many, request: pytest.FixtureRequest, seed: str
) -> None:
    full = request.config.getoption("--full")
    cells = [
        (endpoint, mode)
        for endpoint in ENDPOINTS
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
        if mode is GenerationMode.POSITIVE or endpoint.operation.rules or endpoint.operation.body
    ]
    sent = 0
    for endpoint, mode in sample_cells(cells, 8, seed, full):
        operation = SCHEMA[endpoint.path][endpoint.method]

        @many(160, operation.as_strategy(generation_mode=mode))
        def judge(case: Any) -> None:
            nonlocal sent
            sent += 1
            answer = case.call(
                base_url=world.provider_url, session=session, timeout=30, allow_redirects=False
            )
            case.validate_response(answer, checks=CHECKS)

    assert sent >= (5000 if full else 30)
    print(f"{sent} cases")


def test_requests_leave_nothing_behind(world: LocalStack, request: pytest.FixtureRequest) -> None:
    """The first round fills what is bounded; what grows in the second is a leak."""
    rounds = 1500 if request.config.getoption("--full") else 100
    body = {"datasets": ["x" * 1000] * 100, "algorithm": {"meta": {"rawcode": "y" * 10_000}}}
    provider = world.processes[-1].pid

    def ask(numbers: Iterable[int]) -> float:
        with httpx.Client(trust_env=False, base_url=world.provider_url, timeout=30) as client:
            for number in numbers:
                address = f"0x{number:040x}"
                client.get("/api/services/nonce", params={"userAddress": address})
                client.get(f"/nowhere/{number}")
                client.post("/api/services/initializeCompute", json={**body, "consumerAddress": address})
                client.post(
                    "/api/services/compute", json={**body, "nonce": number, "consumerAddress": address}
                )
        return resident_mib(provider)

    filled = ask(range(100))
    grown = ask(range(100, 100 + rounds)) - filled
    print(f"{grown:.1f} MiB more after {rounds * 4} requests")
    assert grown < GROWTH_MIB


ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=40),
    st.sampled_from(["0x", "0x" + "0" * 130, "\x00", "\ud800", "1e400", "-1", "NaN", "9" * 400, "٣"]),
    st.lists(st.integers(), max_size=3),
    st.dictionaries(st.text(max_size=8), st.integers(), max_size=3),
)
JSON = st.recursive(
    ODD, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4)
)


def test_no_signature_that_the_owner_did_not_make_is_taken(world: LocalStack, many: Many) -> None:
    """Every field of a signed request replaced by something else, and signatures bent at any place."""
    signer = world.account(7)
    stranger = world.account(5)

    @many(
        400,
        st.tuples(
            st.sampled_from(["compute", "computeResult", "computeLogs", "createAuthToken"]),
            st.dictionaries(
                st.sampled_from(["nonce", "jobId", "index", "signature", "consumerAddress"]), ODD, max_size=3
            ),
            st.integers(0, 129),
            st.sampled_from("0123456789abcdef"),
        ),
    )
    def judge(made: Any) -> None:
        route, changes, at, digit = made
        plain = {
            "consumerAddress": signer.address,
            "address": signer.address,
            "jobId": "ab" * 16,
            "index": "0",
            "nonce": "77",
            "expiration": 4_000_000_000,
        }
        signature = signatures.sign_text(stranger.key, f"{signer.address}{plain['jobId']}77")
        bent = signature[: 2 + at] + digit + signature[3 + at :]
        asked = {**plain, "signature": bent, **changes}
        method = "PUT" if route == "compute" else "GET"
        answer = world.call(
            method,
            f"/api/services/{route}",
            content=json.dumps(asked).encode("utf-8", "surrogatepass"),
            headers={"Content-Type": "application/json"},
        )
        # A NUL or half a surrogate pair makes the body no JSON: that is said before its fields are read.
        assert answer.status_code == 400 and {"error", "errors"} & set(answer.json()), answer.text

    assert world.services(f"nonce?userAddress={signer.address}").json()["nonce"] != "77"


FILES = st.fixed_dictionaries(
    {"type": st.sampled_from([*FILE_TYPES, "ftp"])},
    optional={
        "url": st.sampled_from(
            [
                "http://127.0.0.1:1/x",
                "http://[::1]:1/",
                "http://169.254.169.254/latest",
                "http://0x7f.1/",
                "http://2130706433/",
                "file:///etc/passwd",
                "gopher://127.0.0.1/",
                "http://a:b@127.0.0.1/x",
                "http://127.0.0.1:99999/",
                "http://%31%32%37.0.0.1/",
                "http://１２７.0.0.1/",
                "https://",
            ]
        )
        | st.text(max_size=30),
        "method": st.sampled_from(["GET", "post", "TRACE", "GET /x HTTP/1.1\r\nX: y"]) | ODD,
        "headers": st.dictionaries(st.text(max_size=10), ODD, max_size=3) | ODD,
        "hash": st.sampled_from(["Qm" + "a" * 44, "../../api/v0/id", "ipfs://x/../y"]) | ODD,
        "transactionId": ODD,
        "query": ODD,
        "address": st.sampled_from(["0x" + "0" * 40, "0x1"]) | ODD,
        "chainId": ODD,
        "abi": st.sampled_from(
            [
                {"name": "f", "type": "function", "stateMutability": "view", "inputs": [], "outputs": []},
                {"name": "f", "type": "function", "stateMutability": "view", "inputs": [{"type": "tuple"}]},
                {"name": "f", "type": "function", "stateMutability": "view", "inputs": 3, "outputs": "x"},
            ]
        )
        | JSON,
        "s3Access": st.dictionaries(
            st.sampled_from(["endpoint", "region", "bucket", "objectKey", "accessKeyId", "secretAccessKey"]),
            st.sampled_from(["http://127.0.0.1:1", "x", "a\r\nb", "/../x"]) | ODD,
        )
        | ODD,
        "checksum": ODD,
        "userdata": JSON,
    },
)


def test_any_file_object_is_looked_at_or_refused(world: LocalStack, many: Many) -> None:
    @many(400, FILES)
    def judge(file: Any) -> None:
        answer = world.call(
            "POST",
            "/api/services/fileinfo",
            content=json.dumps(file).encode("utf-8", "surrogatepass"),
            headers={"Content-Type": "application/json"},
        )
        assert answer.status_code in (200, 400), answer.text
        assert answer.status_code == 400 or answer.json()[0]["valid"] is False
        assert "127.0.0.1" not in answer.text and "passwd" not in answer.text


@pytest.fixture(scope="module")
def odd_cache() -> Iterator[StaticCache]:
    with StaticCache() as cache:
        yield cache


@pytest.fixture(scope="module")
def beside(world: LocalStack, odd_cache: StaticCache) -> Iterator[str]:
    """A second Provider on the same chain, whose metadata cache says whatever a test wants."""
    changes = {"cacheUrl": odd_cache.url, "database": str(world.folder / "odd.sqlite")}
    with spawned_service(world, "provider", changes) as url:
        yield url


def test_any_published_document_is_served_or_refused(
    world: LocalStack, odd_cache: StaticCache, beside: str, many: Many
) -> None:
    """A DDO is its publisher's text, and validation by a cache is no promise to the Provider."""
    asset = world.publish(price=0)
    algorithm = world.publish(
        "algorithm", [{"type": "url", "url": f"{world.files.url}/algo.py"}], service="access", price=0
    )
    pristine = {each.did: world.record(each.did) for each in (asset, algorithm)}
    item = {"serviceId": "0", "transferTxId": "0x" + "0" * 64}
    consumer = world.account(7)
    places = [list(_places(document)) for document in pristine.values()]

    def asked(nonce: int) -> list[tuple[str, str, dict[str, Any]]]:
        return [
            ("POST", "fileinfo", {"did": asset.did, "serviceId": "0"}),
            ("GET", f"initialize?documentId={asset.did}&serviceId=0&consumerAddress={consumer.address}", {}),
            (
                "POST",
                "initializeCompute",
                {
                    "datasets": [{"documentId": asset.did, **item}],
                    "algorithm": {"documentId": algorithm.did, **item},
                    "compute": {"env": "ocean-compute", "validUntil": 4_000_000_000},
                    "consumerAddress": consumer.address,
                },
            ),
            (
                "POST",
                "compute",
                {
                    "dataset": {"documentId": asset.did, **item},
                    "algorithm": {"documentId": algorithm.did, **item},
                    "environment": "ocean-compute",
                    "consumerAddress": consumer.address,
                    "nonce": nonce,
                    "signature": signatures.sign_text(consumer.key, f"{consumer.address}{asset.did}{nonce}"),
                },
            ),
        ]

    changes = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 10_000), JSON), min_size=1, max_size=3)
    with httpx.Client(trust_env=False, base_url=beside, timeout=30) as client:

        @many(160, changes)
        def judge(made: Any) -> None:
            documents = json.loads(json.dumps(list(pristine.values())))
            for which, at, value in made:
                *path, last = places[which][at % len(places[which])]
                target = documents[which]
                try:
                    for step in path:
                        target = target[step]
                    target[last] = value
                except (KeyError, IndexError, TypeError):
                    continue  # an earlier change took this place away
            odd_cache.documents = dict(zip(pristine, documents, strict=True))
            for method, path_, body in asked(5):
                answer = client.request(method, f"/api/services/{path_}", json=body or None)
                assert answer.status_code in (200, 400), (path_, answer.text)


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of everything inside ``value``."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, entry in inner:
        yield (*path, key)
        yield from _places(entry, (*path, key))
