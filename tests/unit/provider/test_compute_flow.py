"""From publishing to a running job and its results, through real chain, cache and Provider."""

from __future__ import annotations

import hashlib
import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from c2d_box.assets import checksums
from c2d_box.assets.crypto import signatures

ENV = "ocean-compute"
PROVIDER_KEY = "0xfd5c1ccea015b6d663618850824154a3b3fb2882c46cefb05b9a93fea8c3d215"


def body(
    world: Any, dataset: Any, algorithm: Any, consumer: str, valid: int | None = None, orders: Any = ()
) -> Any:
    given = [{"transferTxId": order} for order in orders] or [{}, {}]
    return {
        "datasets": [{"documentId": dataset.did, "serviceId": "0", **given[0]}],
        "algorithm": {"documentId": algorithm.did, "serviceId": "0", **given[1]},
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
            "containerSectionChecksum": checksums.container_checksum(
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
        "signature": signatures.sign_text(consumer.key, consumer.address + dataset.did + nonce),
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
    signature = signatures.sign_text(consumer.key, f"{consumer.address}{job['jobId']}0{nonce}")
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


def log_query(world: Any, job: str, buyer: int = 7, **more: str) -> dict[str, str]:
    consumer = world.account(buyer)
    nonce = world.nonce(consumer)
    text = f"{consumer.address}{job}{more.get('component', '')}{nonce}"
    query = {"consumerAddress": consumer.address, "jobId": job, "nonce": nonce, **more}
    return {**query, "signature": signatures.sign_text(consumer.key, text)}


def test_the_log_of_a_running_job_is_followed_until_it_ends(world: Any) -> None:
    dataset, algorithm = publish_pair(world)
    permit(world, dataset, algorithm)
    orders = ordered(world, dataset, algorithm)
    job = world.services("compute", "POST", json=start_body(world, dataset, algorithm, orders)).json()[0]
    now = world.services("computeLogs", params=log_query(world, job["jobId"]))
    assert (now.status_code, now.text) == (200, "algorithm: first\n")
    assert now.headers["content-type"] == "text/plain; charset=utf-8"
    asked = log_query(world, job["jobId"], component="configuration", follow="true")
    with world.stream("GET", "/api/services/computeLogs", params=asked) as answer:
        lines = answer.iter_lines()
        assert next(lines) == "configuration: first", "it comes while the job runs"
        world.operator.finish(job["jobId"])
        assert list(lines) == ["configuration: last"]
    replayed = world.services("computeLogs", params=asked)
    assert replayed.status_code == 400 and "expected nonce" in replayed.json()["errors"]["signature"]
    other = world.services("computeLogs", params=log_query(world, job["jobId"], buyer=5))
    assert (other.status_code, other.json()) == (404, {"error": "Owner mismatch"})
    unsigned = world.services("computeLogs", params={**asked, "signature": ""})
    assert unsigned.status_code == 400


@pytest.fixture(scope="module")
def pair(world: Any) -> Any:
    """A dataset, an algorithm that it trusts, and orders for both."""
    dataset, algorithm = publish_pair(world)
    permit(world, dataset, algorithm)
    return dataset, algorithm, ordered(world, dataset, algorithm)


def finish_all(world: Any) -> None:
    for job in list(world.operator.jobs):
        if not world.operator.jobs[job]["dateFinished"]:
            world.operator.finish(job)


def changed(value: Any, path: str, new: Any) -> Any:
    """A copy with the value at a dotted path replaced, or removed where ``new`` is None."""
    copied = json.loads(json.dumps(value))
    *parents, last = path.split(".")
    node = copied
    for parent in parents:
        node = node[parent]
    if new is None:
        del node[last]
    else:
        node[last] = new
    return copied


@pytest.mark.parametrize(
    ("path", "new", "error"),
    [
        ("additionalDatasets", {"a": 1}, {"additional_input": "invalid"}),
        ("algorithm.documentId", "did:op:" + "0" * 64, {"algorithm": "file_unavailable"}),
        ("algorithm.serviceId", None, {"algorithm.serviceId": "missing"}),
        ("algorithm.serviceId", "9", {"algorithm": "file_unavailable"}),
        ("algorithm.transferTxId", "0x" + "1" * 64, {"algorithm": "in_use_or_not_on_chain"}),
        ("dataset.documentId", "did:op:" + "0" * 64, {"dataset.documentId": "did_not_found"}),
        ("dataset.serviceId", "9", {"dataset.serviceId": "not_found"}),
        ("dataset.transferTxId", "0x" + "1" * 64, {"dataset.serviceId": "order_invalid"}),
        ("dataset.transferTxId", "nonsense", {"dataset.serviceId": "order_invalid"}),
        ("environment", "another", {"dataset.serviceId": "order_invalid"}),
        ("environment", "paid", {"dataset.serviceId": "order_invalid"}),
        ("output", "{", {"output": "invalid"}),
        ("additionalDatasets", [{}], {"datasets[1].documentId": "missing"}),
        ("additionalDatasets", [{"documentId": "did:op:x"}], {"datasets[1].transferTxId": "missing"}),
        (
            "additionalDatasets",
            [{"documentId": "did:op:x", "transferTxId": "0x"}],
            {"datasets[1].serviceId": "missing"},
        ),
        ("algorithm", {"meta": {"container": {}}}, {"algorithm": "meta_oneof_url_rawcode_remote"}),
        ("algorithm", {"meta": {"rawcode": "print(1)"}}, {"dataset": "no_raw_algo_allowed"}),
    ],
)
def test_start_refusals(world: Any, pair: Any, path: str, new: Any, error: Any) -> None:
    request = changed(start_body(world, *pair), path, new)
    request = resigned(world, request)
    answer = world.services("compute", "POST", json=request)
    assert (answer.status_code, answer.json()["error"]) == (400, error)


def resigned(world: Any, request: Any, buyer: int = 7) -> Any:
    signer = world.account(buyer)
    text = signer.address + request["dataset"]["documentId"] + str(request["nonce"])
    return {**request, "signature": signatures.sign_text(signer.key, text)}


def test_a_meta_beside_a_did_changes_nothing(world: Any, pair: Any) -> None:
    request = start_body(world, *pair)
    request["algorithm"]["meta"] = {"rawcode": "print('mine')", "container": {"image": "evil"}}
    answer = world.services("compute", "POST", json=request)
    assert answer.status_code == 200, answer.text
    stage = world.operator.payloads[-1]["workflow"]["stages"][0]["algorithm"]
    assert stage["rawcode"] == "" and stage["container"]["image"] == "c2d.local/algo-python"
    finish_all(world)


def test_another_account_cannot_use_the_order(world: Any, pair: Any) -> None:
    dataset, algorithm, orders = pair
    request = start_body(world, dataset, algorithm, orders, buyer=5)
    answer = world.services("compute", "POST", json=request)
    assert answer.json()["error"] == {"dataset.serviceId": "order_invalid"}


def test_a_repeated_start_is_the_same_job(world: Any, pair: Any) -> None:
    request = start_body(world, *pair)
    first = world.services("compute", "POST", json=request).json()[0]["jobId"]
    count = len(world.operator.jobs)
    assert world.services("compute", "POST", json=request).json()[0]["jobId"] == first
    finish_all(world)
    assert world.services("compute", "POST", json=request).json()[0]["jobId"] == first
    assert len(world.operator.jobs) == count
    other = changed(request, "dataset.transferTxId", "0x" + "2" * 64)
    answer = world.services("compute", "POST", json=other)
    assert "expected nonce" in answer.json()["errors"]["signature"]


def test_a_lost_answer_loses_no_order_and_doubles_no_job(world: Any, pair: Any) -> None:
    request, count = start_body(world, *pair), len(world.operator.jobs)
    world.operator.down = True
    assert world.services("compute", "POST", json=request).status_code == 503
    world.operator.down, world.operator.deaths = False, 1
    assert world.services("compute", "POST", json=request).status_code == 502
    again = world.services("compute", "POST", json=request)
    assert again.status_code == 200 and len(world.operator.jobs) == count + 1
    assert again.json()[0]["jobId"] in world.operator.granted, "the job would wait for its inputs in vain"
    finish_all(world)


def test_a_killed_provider_goes_on_where_it_stopped(world: Any, pair: Any) -> None:
    """It dies after it has taken the nonce and before its client has an answer; nonces survive it."""
    request, count = start_body(world, *pair), len(world.operator.jobs)
    world.operator.down = True
    assert world.services("compute", "POST", json=request).status_code == 503
    world.restart_provider()
    world.operator.down = False
    started = world.services("compute", "POST", json=request)
    assert started.status_code == 200 and len(world.operator.jobs) == count + 1
    world.restart_provider()
    again = world.services("compute", "POST", json=request)
    assert again.json()[0]["jobId"] == started.json()[0]["jobId"] and len(world.operator.jobs) == count + 1
    finish_all(world)


def test_of_many_starts_with_one_order_one_runs(world: Any, pair: Any) -> None:
    """Each with a nonce of its own: the backend's lock decides, and its words reach the client."""
    consumer, count = world.account(7), len(world.operator.jobs)
    first = int(world.nonce(consumer))
    requests = [resigned(world, {**start_body(world, *pair), "nonce": str(first + at)}) for at in range(12)]
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda body: world.services("compute", "POST", json=body), requests))
    assert [answer.status_code for answer in answers].count(200) == 1
    assert len(world.operator.jobs) == count + 1
    taken = "`agreementId` already in use for other job."
    assert all("errors" in a.json() or a.json() == {"error": taken} for a in answers if a.status_code == 400)
    finish_all(world)


def test_equal_requests_at_once_make_one_job(world: Any, pair: Any) -> None:
    request, count = start_body(world, *pair), len(world.operator.jobs)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: world.services("compute", "POST", json=request), range(8)))
    jobs = {answer.json()[0]["jobId"] for answer in answers if answer.status_code == 200}
    assert len(jobs) == 1 and len(world.operator.jobs) == count + 1
    finish_all(world)


def test_an_order_that_covers_the_time_needs_nothing_more(world: Any, pair: Any) -> None:
    dataset, algorithm, orders = pair
    consumer = world.operator.environments[0]["consumerAddress"]
    soon = body(world, dataset, algorithm, consumer, int(time.time()) + 30, orders)
    answer = world.services("initializeCompute", "POST", json=soon).json()
    assert answer == {"datasets": [{"validOrder": orders[0]}], "algorithm": {"validOrder": orders[1]}}
    later = body(world, dataset, algorithm, consumer, int(time.time()) + 3000, orders)
    answer = world.services("initializeCompute", "POST", json=later).json()
    assert answer["datasets"][0]["validOrder"] == orders[0] and "providerFee" in answer["algorithm"]


def test_a_fee_for_the_paid_environment(world: Any, pair: Any) -> None:
    dataset, algorithm, _ = pair
    until = int(time.time()) + 3600
    request = body(world, dataset, algorithm, world.account(7).address, until)
    request["compute"]["env"] = "paid"
    quote = world.services("initializeCompute", "POST", json=request).json()
    fee, other = quote["datasets"][0]["providerFee"], quote["algorithm"]["providerFee"]
    assert 59 * 10**18 < int(fee["providerFeeAmount"]) <= 60 * 10**18 and other["providerFeeAmount"] == "0"
    assert fee["validUntil"] == until and isinstance(fee["v"], int)
    data = json.loads(bytes.fromhex(fee["providerData"][2:]))
    assert list(data) == ["environment", "timestamp", "dt", "id"] and data["environment"] == "paid"
    assert fee["providerFeeToken"] == world.chain.addresses.ocean


@pytest.mark.parametrize(
    ("path", "new", "error"),
    [
        ("compute.validUntil", 1, "The validUntil value is not correct."),
        ("compute.env", "none", "Compute environment does not exist"),
        ("algorithm", {"meta": {"rawcode": "x" * 20}}, {"dataset": "no_raw_algo_allowed"}),
        ("algorithm", {"meta": {"rawcode": "x"}}, {"dataset": "no_raw_algo_allowed"}),
        ("algorithm", {"meta": {"rawcode": ["x"]}}, {"algorithm": "rawcode_invalid"}),
        ("algorithm", {"meta": {"rawcode": "<" * 90_000}}, {"algorithm": "too_large"}),
        ("algorithm.algocustomdata", {"a": "x" * 500_001}, {"algorithm": "too_large"}),
    ],
)
def test_quote_refusals(world: Any, pair: Any, path: str, new: Any, error: Any) -> None:
    request = body(world, pair[0], pair[1], world.account(7).address)
    answer = world.services("initializeCompute", "POST", json=changed(request, path, new))
    assert (answer.status_code, answer.json()["error"]) == (400, error)


def test_a_dataset_is_no_algorithm(world: Any, pair: Any) -> None:
    request = body(world, pair[0], pair[0], world.account(7).address)
    answer = world.services("initializeCompute", "POST", json=request)
    assert answer.json() == {"error": "DID is not a valid algorithm"}


def test_a_changed_algorithm_is_no_longer_trusted(world: Any) -> None:
    """A start reads the file anew, whatever a quote has just found, and from then on quotes know it too."""
    dataset, algorithm = publish_pair(world)
    permit(world, dataset, algorithm)
    orders = ordered(world, dataset, algorithm)
    before = world.files.content["algo.py"]
    world.files.content["algo.py"] = b"print('something else')"
    try:
        started = world.services("compute", "POST", json=start_body(world, dataset, algorithm, orders))
        request = body(world, dataset, algorithm, world.account(7).address)
        quoted = world.services("initializeCompute", "POST", json=request)
    finally:
        world.files.content["algo.py"] = before
    for answer in (started, quoted):
        assert answer.json()["error"] == {"dataset": "algorithm_file_checksum_mismatch"}


def test_a_raw_algorithm_by_url_and_a_second_dataset(world: Any) -> None:
    """Raw only where every dataset says so; its URL travels sealed, never in the workflow."""
    open_to_raw = {
        "allowRawAlgorithm": True,
        "allowNetworkAccess": False,
        "publisherTrustedAlgorithmPublishers": [],
        "publisherTrustedAlgorithms": [],
    }
    datasets = [world.publish(compute=dict(open_to_raw)) for _ in range(2)]
    consumer, environment = world.account(7), world.operator.environments[0]["consumerAddress"]
    container = {"entrypoint": "python $ALGO", "image": "i", "tag": "t", "checksum": "sha256:" + "a" * 64}
    raw = {"meta": {"url": f"{world.files.url}/algo.py", "rawcode": "", "container": container}}
    items = [{"documentId": dataset.did, "serviceId": "0"} for dataset in datasets]
    quote = world.services(
        "initializeCompute",
        "POST",
        json={
            "datasets": items,
            "algorithm": raw,
            "compute": {"env": ENV, "validUntil": int(time.time()) + 600},
            "consumerAddress": consumer.address,
        },
    ).json()
    assert "algorithm" not in quote
    orders = [
        world.order(dataset, item["providerFee"], environment)
        for dataset, item in zip(datasets, quote["datasets"], strict=True)
    ]
    ordered_items = [{**item, "transferTxId": tx} for item, tx in zip(items, orders, strict=True)]
    request = {
        "consumerAddress": consumer.address,
        "nonce": world.nonce(consumer),
        "environment": ENV,
        "dataset": ordered_items[0],
        "additionalDatasets": ordered_items[1:],
        "algorithm": raw,
    }
    answer = world.services("compute", "POST", json=resigned(world, request))
    assert answer.status_code == 200, answer.text
    assert answer.json()[0]["agreementId"] == orders[1]
    payload = world.operator.payloads[-1]
    assert world.files.url not in json.dumps(payload)
    assert [entry["did"] for entry in payload["grants"]["inputs"]] == [dataset.did for dataset in datasets]
    code = grant(world, payload["grants"]["algorithm"]["files"][0])
    assert (code.status_code, code.content) == (200, world.files.content["algo.py"])
    finish_all(world)


def test_environments_are_keyed_by_chain_with_numbers(world: Any) -> None:
    answer = world.services("computeEnvironments?chainId=8996").json()
    first = answer["8996"][0]
    assert first["priceMin"] == 0 and first["ramGB"] == 1 and first["feeToken"] == world.chain.addresses.ocean


def test_no_secret_is_in_any_log(world: Any) -> None:
    for log in world.folder.glob("*.log"):
        text = log.read_text()
        assert world.files.url not in text and "signature" not in text and PROVIDER_KEY[2:] not in text
