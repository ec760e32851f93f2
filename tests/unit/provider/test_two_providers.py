"""Two Providers with keys of their own on one chain: what one guards, the other cannot open, and an algorithm
that is offered for compute only runs nowhere but where its own Provider is.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from c2d_box.assets.crypto import signatures
from tests.harness.fake_services import BackgroundServer, FakeOperator
from tests.harness.local_stack import EVERY, LocalStack, StackAsset, rules, spawn_service
from tests.unit.provider.test_compute_flow import start_body

KEY = "0x" + "5e" * 32
TRUSTING = {"publisherTrustedAlgorithms": EVERY}
ELSEWHERE = "compute_services_not_in_same_provider"


@pytest.fixture(scope="module")
def second(world: LocalStack) -> Iterator[LocalStack]:
    """The same world seen from the second Provider, with an operator-service of its own."""
    secrets = world.folder / "second-secrets"
    secrets.mkdir()
    (secrets / "provider-key").write_text(KEY)
    (secrets / "token-secret").write_text("another secret of the test, long enough")
    operator = FakeOperator()
    operator.provider = signatures.address_of(KEY)
    operator.environments = world.operator.environments
    url = world.second_provider_url
    with BackgroundServer(operator.operator_app()) as backend:
        settings = {
            **world.settings["provider"],
            "listen": {"host": "127.0.0.1", "port": int(url.rpartition(":")[2])},
            "publicUrl": url,
            "internalUrl": url,
            "operatorServiceUrl": backend.url,
            "database": str(world.folder / "second.sqlite"),
            "secretsDir": str(secrets),
        }
        process = spawn_service(world, "provider", settings)
        yield replace(world, provider_url=url, operator=operator, operator_url=backend.url)
        world.processes.remove(process)
        process.terminate()
        process.wait(20)


@pytest.fixture(scope="module")
def dataset(world: LocalStack) -> StackAsset:
    return world.publish(compute=rules(**TRUSTING), price=0)


def algorithm(at: LocalStack, service: str) -> StackAsset:
    code = [{"type": "url", "url": f"{at.files.url}/algo.py"}]
    return at.publish("algorithm", code, service=service, price=0)


@pytest.fixture(scope="module")
def private(second: LocalStack) -> StackAsset:
    """An algorithm with a compute service only, held by the second Provider."""
    return algorithm(second, "compute")


def quote(at: LocalStack, dataset: StackAsset, program: StackAsset) -> Any:
    body = {
        "datasets": [{"documentId": dataset.did, "serviceId": "0"}],
        "algorithm": {"documentId": program.did, "serviceId": "0"},
        "compute": {"env": "ocean-compute", "validUntil": int(time.time()) + 600},
        "consumerAddress": at.account(7).address,
    }
    return at.services("initializeCompute", "POST", json=body)


def test_each_gives_its_own_address(world: LocalStack, second: LocalStack) -> None:
    addresses = {at.call("GET", "/").json()["providerAddresses"]["8996"] for at in (world, second)}
    assert addresses == {world.operator.provider, second.operator.provider} and len(addresses) == 2


def test_a_private_algorithm_does_not_run_where_its_provider_is_not(
    world: LocalStack, second: LocalStack, dataset: StackAsset, private: StackAsset
) -> None:
    answer = quote(world, dataset, private)
    assert (answer.status_code, answer.json()["error"]) == (400, {"algorithm": ELSEWHERE})
    assert "another Provider holds its files" in str(answer.json()["reasons"])
    before = len(world.operator.payloads)
    body = start_body(world, dataset, private, ["0x" + "1" * 64] * 2)
    started = world.services("compute", "POST", json=body)
    assert (started.status_code, started.json()["error"]) == (400, {"algorithm": ELSEWHERE})
    assert len(world.operator.payloads) == before


def test_the_dataset_does_not_run_where_the_algorithms_provider_is_either(
    second: LocalStack, dataset: StackAsset, private: StackAsset
) -> None:
    answer = quote(second, dataset, private)
    assert (answer.status_code, answer.json()["error"]) == (400, {"dataset.serviceId": ELSEWHERE})


def test_it_runs_where_both_are(second: LocalStack, private: StackAsset) -> None:
    data = second.publish(compute=rules(**TRUSTING), price=0)
    quoted = quote(second, data, private)
    assert quoted.status_code == 200, quoted.text
    items = (quoted.json()["datasets"][0], quoted.json()["algorithm"])
    place = second.operator.environments[0]["consumerAddress"]
    orders = [
        second.order(asset, item["providerFee"], place)
        for asset, item in zip((data, private), items, strict=True)
    ]
    started = second.services("compute", "POST", json=start_body(second, data, private, orders))
    assert started.status_code == 200, started.text
    assert second.operator.payloads[-1]["grants"]["algorithm"]["files"]


def test_nobody_downloads_it(world: LocalStack, second: LocalStack, private: StackAsset) -> None:
    """Neither through its own Provider nor through the other, ordered or not."""
    consumer = second.account(7)
    for at in (second, world):
        query = {"documentId": private.did, "serviceId": "0", "consumerAddress": consumer.address}
        initialized = at.services("initialize", params=query)
        assert initialized.status_code == 400, initialized.text
        nonce = at.nonce(consumer)
        signature = signatures.sign_text(consumer.key, private.did + nonce)
        more = {"transferTxId": "0x" + "1" * 64, "fileIndex": "0", "nonce": nonce, "signature": signature}
        answer = at.services("download", params={**query, **more})
        assert answer.status_code == 400 and b"print" not in answer.content
        assert "is not an access service" in answer.json()["error"]


def test_a_public_algorithm_of_another_provider_cannot_be_checked_so_it_does_not_run(
    world: LocalStack, second: LocalStack, dataset: StackAsset
) -> None:
    answer = quote(world, dataset, algorithm(second, "access"))
    assert (answer.status_code, answer.json()["error"]) == (400, {"algorithm": "file_unavailable"})


def test_what_was_sealed_for_one_opens_with_no_other(world: LocalStack, second: LocalStack) -> None:
    sealed = second.encrypt(b"a publisher's secret")
    consumer = world.account(3)
    nonce = str(int(time.time() * 1e9))
    body = {
        "decrypterAddress": consumer.address,
        "chainId": 8996,
        "dataNftAddress": "0x" + "11" * 20,
        "encryptedDocument": sealed,
        "flags": 2,
        "documentHash": "0x" + "0" * 64,
        "nonce": nonce,
        "signature": signatures.sign_text(consumer.key, nonce),
    }
    answer = world.services("decrypt", "POST", json=body)
    assert answer.status_code >= 400 and b"secret" not in answer.content
