"""Looking at files must not make of the Provider a relay for strangers, nor tell them of data that stays."""

from __future__ import annotations

import hashlib
import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from c2d_box.assets.crypto import lookup_text, signatures
from c2d_box.provider.routes.fileinfo import UNSIGNED
from tests.harness.local_stack import CONTAINER, LocalStack, rules, spawned_service

DATA = b"a,b\n1,2\n"


def signed(world: LocalStack, request: dict[str, Any], account: int = 7) -> dict[str, Any]:
    signer = world.account(account)
    named = {**request, "consumerAddress": signer.address}
    nonce = world.nonce(signer)
    return {
        **named,
        "nonce": nonce,
        "signature": signatures.sign_text(signer.key, lookup_text.signed_text(named) + nonce),
    }


def look(world: LocalStack, request: dict[str, Any], url: str = "") -> httpx.Response:
    address = f"{url or world.provider_url}/api/services/fileinfo"
    return httpx.post(address, json=request, timeout=30, trust_env=False)


def relays(world: LocalStack) -> list[dict[str, Any]]:
    url = f"{world.files.url}/data.csv"
    return [
        {"type": "url", "url": f"{url}?amount=1", "method": "POST", "userdata": {"to": "me"}},
        {"type": "url", "url": url, "method": "post"},
        {"type": "url", "url": url, "headers": {"Authorization": "Bearer chosen"}},
        {"type": "url", "url": url.replace("://", "://user:guess@")},
        {"type": "url", "url": url, "userdata": json.dumps({"a": 1})},
        {"type": "graphql", "url": url, "query": "mutation { drop }"},
        {"type": "ipfs", "hash": "Qm" + "a" * 44, "headers": {"X-Key": "chosen"}},
        {
            "type": "s3",
            "s3Access": {
                "endpoint": world.files.url,
                "region": "us-east-1",
                "bucket": "b",
                "objectKey": "data.csv",
                "accessKeyId": "chosen",
                "secretAccessKey": "chosen",
            },
        },
    ]


@pytest.mark.parametrize("index", range(8))
def test_a_stranger_cannot_send_requests_of_his_choosing(world: LocalStack, index: int) -> None:
    asked = len(world.files.requests)
    answer = look(world, relays(world)[index])
    assert (answer.status_code, answer.json()) == (400, {"error": UNSIGNED})
    assert len(world.files.requests) == asked, "nothing went out"


@pytest.mark.parametrize("index", [0, 2, 5])
def test_who_signs_may_look_at_his_own_source(world: LocalStack, index: int) -> None:
    world.files.content["data.csv"] = DATA
    request = signed(world, relays(world)[index])
    answer = look(world, request)
    assert answer.status_code == 200 and answer.json()[0]["valid"] is True, answer.text
    again = look(world, request)
    assert again.status_code == 400 and "expected nonce" in again.json()["errors"]["signature"]


@pytest.mark.parametrize("change", [{"url": "http://x.example/"}, {"method": "GET"}, {"headers": {"A": "b"}}])
def test_a_signature_is_for_one_source(world: LocalStack, change: dict[str, Any]) -> None:
    request = signed(world, relays(world)[0])
    assert look(world, {**request, **change}).status_code == 400


def test_a_plain_source_needs_no_signature(world: LocalStack) -> None:
    answer = look(
        world, {"type": "url", "url": f"{world.files.url}/data.csv", "method": "GET", "headers": {}}
    )
    assert answer.json()[0]["valid"] is True


def test_the_original_behaviour_is_a_switch(world: LocalStack) -> None:
    with spawned_service(world, "provider", {"compat": {"unsignedSources": True}}) as url:
        assert look(world, relays(world)[0], url).json()[0]["valid"] is True
        assert world.files.requests[-1][0] == "POST"


@pytest.fixture(scope="module")
def dataset(world: LocalStack) -> Any:
    world.files.content["patients-secret-token.csv"] = DATA
    files = [{"type": "url", "url": f"{world.files.url}/patients-secret-token.csv", "method": "GET"}]
    return world.publish(files=files, compute=rules(allowRawAlgorithm=True))


def test_strangers_learn_neither_name_nor_hash_of_data_that_stays(world: LocalStack, dataset: Any) -> None:
    query = {"did": dataset.did, "serviceId": "0", "checksum": True}
    foreign = {**query, "transferTxId": "0x" + "1" * 64}
    for request in (query, signed(world, query, 6), signed(world, foreign, 8)):
        (seen,) = look(world, request).json()
        assert "checksum" not in seen and seen["filename"] == "" and seen["valid"] is True
        assert "secret" not in json.dumps(seen)


def test_the_publisher_and_who_ordered_it_see_the_hash(world: LocalStack, dataset: Any) -> None:
    query = {"did": dataset.did, "serviceId": "0", "checksum": True}
    expected = hashlib.sha256(DATA).hexdigest()
    assert look(world, signed(world, query, 3)).json()[0]["checksum"] == expected
    consumer = world.account(7).address
    quote = {
        "datasets": [{"documentId": dataset.did, "serviceId": "0"}],
        "algorithm": {"meta": {"rawcode": "print()", "container": CONTAINER}},
        "compute": {"env": "ocean-compute", "validUntil": int(time.time()) + 600},
        "consumerAddress": consumer,
    }
    fee = world.services("initializeCompute", "POST", json=quote).json()["datasets"][0]["providerFee"]
    tx = world.order(dataset, fee, consumer)
    answer = look(world, signed(world, {**query, "transferTxId": tx}, 7))
    assert answer.json()[0].get("checksum") == expected, answer.text


def test_an_algorithm_keeps_its_hash_for_who_permits_it(world: LocalStack) -> None:
    files = [{"type": "url", "url": f"{world.files.url}/algo.py", "method": "GET"}]
    algorithm = world.publish("algorithm", files=files)
    (seen,) = look(world, {"did": algorithm.did, "serviceId": "0", "checksum": 1}).json()
    assert seen["checksum"] == hashlib.sha256(world.files.content["algo.py"]).hexdigest()


def algorithm_at(world: LocalStack, name: str, content: bytes) -> Any:
    world.files.content[name] = content
    files = [{"type": "url", "url": f"{world.files.url}/{name}", "method": "GET"}]
    return world.publish("algorithm", files=files, service="access")


def quote_of(world: LocalStack, dataset: Any, algorithm: Any, **more: Any) -> dict[str, Any]:
    return {
        "datasets": [{"documentId": dataset.did, "serviceId": "0"}],
        "algorithm": {"documentId": algorithm.did, "serviceId": "0", **more},
        "compute": {"env": "ocean-compute", "validUntil": int(time.time()) + 600},
        "consumerAddress": world.account(7).address,
    }


def readings_of(world: LocalStack, name: str) -> int:
    return [asked[1] for asked in world.files.requests].count(name)


def test_twenty_quotes_read_the_publishers_source_once(world: LocalStack) -> None:
    trusting = world.publish(compute=rules(publisherTrustedAlgorithmPublishers=["*"]))
    algorithm = algorithm_at(world, "quoted.py", b"#" * (1 << 20))
    request = quote_of(world, trusting, algorithm)
    with ThreadPoolExecutor(10) as pool:
        answers = list(
            pool.map(lambda _: world.services("initializeCompute", "POST", json=request), range(20))
        )
    assert {answer.status_code for answer in answers} == {200}, answers[0].text
    assert readings_of(world, "quoted.py") == 1
    (seen,) = look(world, {"did": algorithm.did, "serviceId": "0", "checksum": True}).json()
    assert seen["checksum"] == hashlib.sha256(world.files.content["quoted.py"]).hexdigest()
    assert readings_of(world, "quoted.py") == 1, "a look at the same service shares it"


def test_twenty_looks_at_an_algorithm_read_its_source_once(world: LocalStack) -> None:
    algorithm = algorithm_at(world, "looked-at.py", b"#" * (1 << 20))
    request = {"did": algorithm.did, "serviceId": "0", "checksum": True}
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: look(world, request), range(20)))
    expected = hashlib.sha256(world.files.content["looked-at.py"]).hexdigest()
    assert {answer.json()[0]["checksum"] for answer in answers} == {expected}
    assert readings_of(world, "looked-at.py") == 1


def test_an_address_that_varies_its_user_data_has_a_budget_of_bytes(world: LocalStack) -> None:
    trusting = world.publish(compute=rules(publisherTrustedAlgorithmPublishers=["*"]))
    algorithm = algorithm_at(world, "varied.py", b"#" * 60_000)
    # 16 times the largest algorithm a minute, a quarter of that at once.
    with spawned_service(
        world, "provider", {"fetch": {**world.settings["provider"]["fetch"], "maxAlgorithmLength": 65_536}}
    ) as url:
        answers = [
            httpx.post(
                f"{url}/api/services/initializeCompute",
                json=quote_of(world, trusting, algorithm, userdata={"n": n}),
                timeout=30,
                trust_env=False,
            )
            for n in range(12)
        ]
        refused = look(world, {"did": algorithm.did, "serviceId": "0", "checksum": 1, "userdata": "{}"}, url)
    codes = [answer.status_code for answer in answers]
    assert codes[:4] == [200] * 4 and codes[-1] == 429, codes
    assert answers[-1].json() == {"error": "Too many bytes of files were read for this address."}
    assert int(answers[-1].headers["retry-after"]) >= 1 and refused.status_code == 429
    assert readings_of(world, "varied.py") <= 13


def test_a_large_algorithm_is_hashed_and_one_too_large_is_called_so(world: LocalStack, dataset: Any) -> None:
    trusting = world.publish(compute=rules(publisherTrustedAlgorithmPublishers=["*"]))
    answers = []
    for name in ("six.py", f"big-{33 << 20}"):
        algorithm = algorithm_at(world, name, b"#" * (6 << 20))
        request = quote_of(world, trusting, algorithm)
        answers.append(world.services("initializeCompute", "POST", json=request))
        (seen,) = look(world, {"did": algorithm.did, "serviceId": "0", "checksum": True}).json()
        assert ("checksum" in seen) is (name == "six.py")
    assert answers[0].status_code == 200 or "file_" not in answers[0].text, answers[0].text
    assert answers[1].json()["error"] == {"algorithm": "file_too_large"}


def test_names_in_another_script_reach_a_browser_and_the_sdk(world: LocalStack) -> None:
    world.files.content["报告.csv"] = DATA
    url = f"{world.files.url}/%E6%8A%A5%E5%91%8A.csv"
    (seen,) = look(world, {"type": "url", "url": url, "method": "GET"}).json()
    assert seen["filename"] == "报告.csv"
