"""What a request may wish for beyond the original: network for the algorithm (three yeses or a refusal), and
user data that is held against what publishers describe, where the operator wants that."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from tests.harness.local_stack import EVERY, LocalStack, StackAsset, rules, spawn_service
from tests.unit.provider.test_compute_flow import start_body

ENV = "ocean-compute"
DESCRIBED = [
    {
        "name": "since",
        "type": "text",
        "label": "Since",
        "required": True,
        "description": "A day",
        "default": "",
    }
]
MISFIT = "The user data does not fit the consumer parameters: since is required."


@pytest.fixture(scope="module")
def program(world: LocalStack) -> StackAsset:
    code = [{"type": "url", "url": f"{world.files.url}/algo.py"}]
    return world.publish("algorithm", code, service="access", price=0)


@pytest.fixture
def generous(world: LocalStack) -> Iterator[str]:
    """An environment whose operator grants network access."""
    name = "networked"
    granted = {**world.operator.environments[0], "id": name, "allowNetworkAccess": True}
    world.operator.environments.append(granted)
    time.sleep(2.1)  # the Provider remembers the list for two seconds
    yield name
    world.operator.environments.remove(granted)


def quoted(
    at: LocalStack, dataset: StackAsset, program: StackAsset, environment: str = ENV, **more: Any
) -> Any:
    item = {"documentId": dataset.did, "serviceId": "0", **more.pop("item", {})}
    until = int(time.time()) + 600
    body = {
        "datasets": [item],
        "algorithm": {"documentId": program.did, "serviceId": "0"},
        "compute": {"env": environment, "validUntil": until, **more},
        "consumerAddress": at.account(7).address,
    }
    return at.services("initializeCompute", "POST", json=body)


def open_to(**changes: Any) -> dict[str, Any]:
    return rules(publisherTrustedAlgorithms=EVERY, **changes)


@pytest.mark.parametrize(
    ("publisher", "why"),
    [
        (False, "the dataset's publisher does not allow network access"),
        (True, "the environment's operator does not grant network access"),
    ],
)
def test_network_needs_publisher_and_operator(
    world: LocalStack, program: StackAsset, publisher: bool, why: str
) -> None:
    dataset = world.publish(compute=open_to(allowNetworkAccess=publisher), price=0)
    answer = quoted(world, dataset, program, networkAccess=True)
    assert (answer.status_code, answer.json()["error"]) == (400, {"dataset": "network_not_allowed"})
    assert why in answer.text
    assert quoted(world, dataset, program).status_code == 200


def test_network_is_asked_for_with_a_yes_and_nothing_else(world: LocalStack, program: StackAsset) -> None:
    dataset = world.publish(compute=open_to(allowNetworkAccess=True), price=0)
    answer = quoted(world, dataset, program, networkAccess="yes")
    assert answer.json()["error"] == {"networkAccess": "invalid"}


def test_with_three_yeses_the_backend_is_told(world: LocalStack, program: StackAsset, generous: str) -> None:
    dataset = world.publish(compute=open_to(allowNetworkAccess=True), price=0)
    offer = quoted(world, dataset, program, generous, networkAccess=True).json()
    environment = world.operator.environments[0]["consumerAddress"]
    orders = [
        world.order(asset, item["providerFee"], environment)
        for asset, item in ((dataset, offer["datasets"][0]), (program, offer["algorithm"]))
    ]
    request = {**start_body(world, dataset, program, orders), "environment": generous}
    answer = world.services("compute", "POST", json={**request, "networkAccess": True})
    assert answer.status_code == 200, answer.text
    stage = world.operator.payloads[-1]["workflow"]["stages"][0]
    assert stage["compute"]["networkAccess"] is True
    world.operator.finish(answer.json()[0]["jobId"])


@pytest.fixture(scope="module")
def strict(world: LocalStack) -> Iterator[LocalStack]:
    """A second Provider of the same operator, which holds user data against its description."""
    url = world.second_provider_url
    settings = {
        **world.settings["provider"],
        "listen": {"host": "127.0.0.1", "port": int(url.rpartition(":")[2])},
        "publicUrl": url,
        "internalUrl": url,
        "database": str(world.folder / "strict.sqlite"),
        "userData": {"accept": "described"},
    }
    process = spawn_service(world, "provider", settings)
    yield replace(world, provider_url=url)
    world.processes.remove(process)
    process.terminate()
    process.wait(20)


def described(world: LocalStack, **options: Any) -> StackAsset:
    asset = world.publish(price=0, **options)
    asset.document["services"][0]["consumerParameters"] = DESCRIBED
    world.update(asset)
    return asset


def test_a_download_needs_what_the_publisher_describes(world: LocalStack, strict: LocalStack) -> None:
    asset = described(world, service="access")
    query = {"documentId": asset.did, "serviceId": "0", "consumerAddress": world.account(7).address}
    refused = strict.services("initialize", params=query)
    assert (refused.status_code, refused.json()["error"]) == (400, f"Provider Ganache: {MISFIT}")
    assert strict.services("initialize", params={**query, "userdata": '{"since":"2020"}'}).status_code == 200
    assert world.services("initialize", params=query).status_code == 200


def test_a_job_needs_what_the_publisher_describes(
    world: LocalStack, strict: LocalStack, program: StackAsset
) -> None:
    dataset = described(world, compute=open_to())
    refused = quoted(strict, dataset, program)
    assert refused.json() == {"error": {"dataset.userdata": "invalid"}, "reasons": ["since is required"]}
    fitting = quoted(strict, dataset, program, item={"userdata": {"since": "2020"}})
    assert fitting.status_code == 200, fitting.text
    assert quoted(world, dataset, program).status_code == 200
