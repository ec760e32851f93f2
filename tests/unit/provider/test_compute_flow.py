"""From publishing to a running job and its results, through real chain, cache and Provider."""

from __future__ import annotations

import hashlib
import json
import time
from typing import Any

import httpx

from c2d_box.assets import checksums, signatures

ENV = "ocean-compute"


def body(
    world: Any, dataset: Any, algorithm: Any, consumer: str, valid: int | None = None, **items: Any
) -> Any:
    return {
        "datasets": [{"documentId": dataset.did, "serviceId": "0", **items.get("dataset", {})}],
        "algorithm": {"documentId": algorithm.did, "serviceId": "0", **items.get("algorithm", {})},
        "compute": {"env": ENV, "validUntil": valid or int(time.time()) + 600},
        "consumerAddress": consumer,
    }


def publish_pair(world: Any) -> Any:
    algorithm = world.publish(
        "algorithm", [{"type": "url", "url": f"{world.files.url}/algo.py"}], service="access"
    )
    return world.publish(), algorithm


def permit(world: Any, dataset: Any, algorithm: Any) -> None:
    container = algorithm.document["metadata"]["algorithm"]["container"]
    dataset.document["services"][0]["compute"]["publisherTrustedAlgorithms"] = [
        {
            "did": algorithm.did,
            "filesChecksum": hashlib.sha256(world.files.content["algo.py"]).hexdigest(),
            "containerSectionChecksum": checksums.container_section(
                container["entrypoint"], container["checksum"]
            ),
        }
    ]
    world.update(dataset)


def start_body(world: Any, dataset: Any, algorithm: Any, orders: Any, buyer: int = 7) -> Any:
    consumer = world.account(buyer)
    nonce = world.nonce(consumer)
    return {
        "consumerAddress": consumer.address,
        "signature": signatures.sign(consumer.key, consumer.address + dataset.did + nonce),
        "nonce": nonce,
        "environment": ENV,
        "dataset": {"documentId": dataset.did, "serviceId": "0", "transferTxId": orders[0]},
        "algorithm": {"documentId": algorithm.did, "serviceId": "0", "transferTxId": orders[1]},
    }


def ordered(world: Any, dataset: Any, algorithm: Any) -> list[str]:
    consumer = world.account(7).address
    quote = world.services("initializeCompute", "POST", json=body(world, dataset, algorithm, consumer))
    assert quote.status_code == 200, quote.text
    environment = world.operator.environments[0]["consumerAddress"]
    items = (quote.json()["datasets"][0], quote.json()["algorithm"])
    return [
        world.order(asset, item["providerFee"], environment)
        for asset, item in zip((dataset, algorithm), items, strict=True)
    ]


def test_a_job_from_publishing_to_its_results(world: Any) -> None:
    dataset, algorithm = publish_pair(world)
    consumer = world.account(7)

    refused = world.services(
        "initializeCompute", "POST", json=body(world, dataset, algorithm, consumer.address)
    )
    assert refused.status_code == 400
    assert refused.json()["error"] == {"dataset": "not_trusted_algo"}
    assert list(refused.json()) == ["error", "reasons"]
    assert "nobody may compute" in json.dumps(refused.json()["reasons"])

    permit(world, dataset, algorithm)
    orders = ordered(world, dataset, algorithm)
    started = world.services("compute", "POST", json=start_body(world, dataset, algorithm, orders))
    assert started.status_code == 200, started.text
    job = started.json()[0]
    assert len(job["jobId"]) == 32 and job["agreementId"] == orders[1] and job["owner"] == consumer.address

    payload = world.operator.payloads[-1]
    text = json.dumps({key: value for key, value in payload.items() if key != "grants"})
    assert world.files.url not in text and "algo.py" not in text
    assert payload["maxtime"] <= 600 and payload["workflow"]["stages"][0]["input"][0]["files"] == 1
    redeem(world, payload, job["jobId"])

    status = world.services(f"compute?consumerAddress={consumer.address.lower()}&jobId={job['jobId']}")
    assert [entry["jobId"] for entry in status.json()] == [job["jobId"]]
    nonce = world.nonce(consumer)
    signature = signatures.sign(consumer.key, f"{consumer.address}{job['jobId']}0{nonce}")
    query = (
        f"consumerAddress={consumer.address}&jobId={job['jobId']}&index=0&nonce={nonce}&signature={signature}"
    )
    result = world.services(f"computeResult?{query}")
    assert result.status_code == 200 and result.content == b"result bytes"
    assert result.headers["content-disposition"] == "attachment;filename=metrics.json"

    world.operator.finish(job["jobId"])
    token = payload["grants"]["inputs"][0]["files"][0]
    deadline = time.monotonic() + 5
    while grant(world, token).status_code != 410 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert grant(world, token).json() == {"error": "The job of this grant has ended."}


def grant(world: Any, token: str, **headers: str) -> httpx.Response:
    answer: httpx.Response = world.call(
        "GET", "/api/c2d/grant", headers={"Authorization": f"Bearer {token}", **headers}
    )
    return answer


def redeem(world: Any, payload: Any, job: str) -> None:
    """What the configuration pod does with its grants."""
    grants = payload["grants"]
    source = grants["inputs"][0]
    data = grant(world, source["files"][0])
    assert (data.status_code, data.content) == (200, b"a,b\n1,2\n") and data.headers["content-length"] == "8"
    part = grant(world, source["files"][0], Range="bytes=4-6")
    assert (part.status_code, part.content) == (206, b"1,2")
    assert grant(world, source["ddo"]).json()["id"] == source["did"]
    code = grant(world, grants["algorithm"]["files"][0])
    assert code.content == world.files.content["algo.py"]
    assert code.headers["x-checksum-sha256"] == hashlib.sha256(code.content).hexdigest()
    bent = source["files"][0][:-3] + ("AAA" if source["files"][0][-3:] != "AAA" else "BBB")
    assert grant(world, bent).status_code == 401
