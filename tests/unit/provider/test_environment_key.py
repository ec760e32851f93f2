"""An environment's key signs evidence, and opens nothing: not what was ordered for its environment either."""

from __future__ import annotations

import time
from typing import Any

import httpx
import pytest

from c2d_box.assets.crypto import signatures
from tests.harness.local_stack import spawned_service
from tests.unit.provider.test_compute_flow import permit, publish_pair

ENV = "with-a-known-key"
_KEY_INDEX, _BUYER_INDEX = 6, 7


@pytest.fixture(scope="module")
def environment(world: Any) -> Any:
    """The account of an environment, whose key somebody got hold of."""
    signer = world.account(_KEY_INDEX)
    world.operator.environments.append(
        {**world.operator.environments[0], "id": ENV, "consumerAddress": signer.address}
    )
    time.sleep(2.1)  # the Provider asks for environments every other second
    yield signer
    world.operator.environments.pop()


@pytest.fixture(scope="module")
def job(world: Any, environment: Any) -> Any:
    """A dataset and an algorithm, permitted, and orders for both in the environment's name."""
    dataset, algorithm = publish_pair(world)
    permit(world, dataset, algorithm)
    quote = world.services(
        "initializeCompute",
        "POST",
        json={
            "datasets": [{"documentId": dataset.did, "serviceId": "0"}],
            "algorithm": {"documentId": algorithm.did, "serviceId": "0"},
            "compute": {"env": ENV, "validUntil": int(time.time()) + 600},
            "consumerAddress": environment.address,
        },
    )
    assert quote.status_code == 200, "ocean.py asks for a price in the environment's name"
    fees = [quote.json()["datasets"][0]["providerFee"], quote.json()["algorithm"]["providerFee"]]
    orders = [
        world.order(asset, fee, environment.address, buyer=_BUYER_INDEX)
        for asset, fee in zip((dataset, algorithm), fees, strict=True)
    ]
    return dataset, algorithm, orders


def download(url: str, world: Any, signer: Any, did: str, tx: str) -> httpx.Response:
    nonce = str(
        int(float(httpx.get(f"{url}/api/services/nonce?userAddress={signer.address}").json()["nonce"])) + 1
    )
    query = {
        "documentId": did,
        "serviceId": "0",
        "consumerAddress": signer.address,
        "transferTxId": tx,
        "fileIndex": "0",
        "nonce": nonce,
        "signature": signatures.sign_text(signer.key, did + nonce),
    }
    return httpx.get(f"{url}/api/services/download", params=query, timeout=30, trust_env=False)


@pytest.mark.parametrize("which", [0, 1], ids=["dataset", "algorithm"])
def test_an_environments_key_downloads_nothing(world: Any, environment: Any, job: Any, which: int) -> None:
    answer = download(world.provider_url, world, environment, job[which].did, job[2][which])
    assert answer.status_code == 400 and "Provider Ganache: " in answer.json()["error"], answer.text


def test_who_paid_still_downloads_what_may_be_downloaded(world: Any, job: Any) -> None:
    answer = download(world.provider_url, world, world.account(_BUYER_INDEX), job[1].did, job[2][1])
    assert (answer.status_code, answer.content) == (200, world.files.content["algo.py"])


def test_an_environments_key_starts_no_job_on_anothers_orders(world: Any, environment: Any, job: Any) -> None:
    dataset, algorithm, orders = job
    nonce = world.nonce(environment)
    request = {
        "consumerAddress": environment.address,
        "nonce": nonce,
        "signature": signatures.sign_text(environment.key, environment.address + dataset.did + nonce),
        "environment": ENV,
        "dataset": {"documentId": dataset.did, "serviceId": "0", "transferTxId": orders[0]},
        "algorithm": {"documentId": algorithm.did, "serviceId": "0", "transferTxId": orders[1]},
    }
    answer = world.services("compute", "POST", json=request)
    assert (answer.status_code, answer.json()["error"]) == (400, {"dataset.serviceId": "order_invalid"})


def test_an_environment_passes_no_list_of_credentials(world: Any, environment: Any) -> None:
    only = {"allow": [{"type": "address", "values": [world.account(2).address]}], "deny": []}
    asset = world.publish(service="access", price=0, credentials=only)
    query = {"documentId": asset.did, "serviceId": "0", "consumerAddress": environment.address}
    answer = world.services("initialize", params=query)
    assert answer.status_code == 400 and "CREDENTIAL_NOT_IN_ALLOW_LIST" in answer.json()["error"]


def test_the_originals_pods_are_served_where_a_setting_says_so(
    world: Any, environment: Any, job: Any
) -> None:
    changes = {
        "compat": {"environmentDownloads": True},
        "database": str(world.folder / "original.sqlite"),
    }
    with spawned_service(world, "provider", changes) as url:
        for which in (0, 1):
            answer = download(url, world, environment, job[which].did, job[2][which])
            assert answer.status_code == 200, answer.text
