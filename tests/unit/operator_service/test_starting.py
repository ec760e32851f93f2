"""``POST /compute``: checks in order with the original's texts, one job per order, nothing secret in
a WorkFlow.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from c2d_box.kubernetes.port import LEASES, SECRETS, ClusterError
from c2d_box.workflow import leases, names
from c2d_box.workflow.resource import WORKFLOWS
from tests.unit.operator_service.conftest import job_payload

JOB = "0123456789abcdef0123456789abcdef"
OTHER = "f" * 32


async def test_a_start_makes_lock_workflow_and_grants(front: Any) -> None:
    answer = await front.start()
    assert answer.status_code == 200
    (status,) = answer.json()
    assert (status["jobId"], status["status"], status["statusText"]) == (JOB, 1, "Warming up")
    assert (status["dateFinished"], status["results"], status["stopreq"]) == (None, "", 0)
    assert front.cluster.names(WORKFLOWS) == (JOB,)
    assert front.cluster.names(SECRETS) == (names.grants_secret_name(JOB),)
    assert front.cluster.names(LEASES) == (leases.order_lease_name("0xorder"),)
    order = [(verb, plural) for verb, plural, _ in front.cluster.calls]
    assert order == [("create", "leases"), ("create", "workflows"), ("create", "secrets")]


async def test_no_address_and_no_token_stands_in_the_workflow(front: Any) -> None:
    await front.start()
    text = json.dumps(await front.cluster.get(WORKFLOWS, JOB))
    assert "http" not in text
    assert "grants" not in text
    workflow = await front.cluster.get(WORKFLOWS, JOB)
    assert workflow["spec"]["stages"][0]["algorithm"]["algocustomdata"] == {"k": 1}
    assert workflow["spec"]["stages"][0]["input"][0]["files"] == 1


@pytest.mark.parametrize(
    "key", ["workflow", "agreementId", "owner", "providerSignature", "environment", "nonce"]
)
async def test_each_required_key_is_asked_for(front: Any, key: str) -> None:
    answer = await front.start(**{key: ...})
    assert (answer.status_code, answer.json()) == (
        400,
        {"error": f'"{key}" is required in the call to POST:/compute'},
    )


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"workflow": {}}, "`workflow` is required in the payload and must include workflow stages"),
        ({"environment": "nowhere"}, "Environment invalid or does not exist"),
        ({"chainId": 1}, "Environment invalid or does not exist"),
        ({"workflow": {"stages": []}, "x": 1}, "Missing stages"),
        ({"jobId": "short"}, '"jobId" must be 32 hexadecimal digits'),
        ({"grants": {"inputs": []}}, '"grants" must hold one entry for each input, in the same order'),
    ],
)
async def test_what_is_wrong_is_said_in_the_originals_words(
    front: Any, changes: dict[str, Any], text: str
) -> None:
    answer = await front.start(**changes)
    assert (answer.status_code, answer.json()) == (400, {"error": text})
    assert front.cluster.names(WORKFLOWS) == ()


async def test_network_is_refused_where_it_cannot_be_given(front: Any) -> None:
    workflow = job_payload()["workflow"]
    workflow["stages"][0]["compute"]["networkAccess"] = True
    answer = await front.start(workflow=workflow)
    assert (answer.status_code, answer.json()) == (
        400,
        {"error": "Network access is not offered by this environment"},
    )
    assert front.cluster.names(WORKFLOWS) == ()


async def test_an_empty_body_is_said_to_be_empty(front: Any) -> None:
    answer = await front.client.post("/api/v1/operator/compute")
    assert (answer.status_code, answer.json()) == (400, {"error": "payload seems empty."})


async def test_the_same_start_twice_is_one_job(front: Any) -> None:
    first, second = await front.start(), await front.start()
    assert first.json() == second.json()
    assert len(front.cluster.names(WORKFLOWS)) == 1


async def test_a_start_that_broke_off_is_completed_by_its_repetition(front: Any) -> None:
    real = front.cluster.create

    async def breaks(resource: Any, body: Any) -> Any:
        if resource is SECRETS:
            raise ClusterError("connection lost")
        return await real(resource, body)

    front.cluster.create = breaks
    assert (await front.start()).status_code == 503
    assert front.cluster.names(SECRETS) == ()
    front.cluster.create = real
    assert (await front.start()).status_code == 200
    assert front.cluster.names(SECRETS) == (names.grants_secret_name(JOB),)


async def test_one_order_is_one_job_at_a_time(front: Any) -> None:
    await front.start()
    answer = await front.start(jobId=OTHER)
    assert (answer.status_code, answer.json()) == (
        400,
        {"error": "`agreementId` already in use for other job."},
    )
    await front.finish()
    for _ in range(200):  # the watch needs its moment
        if (again := await front.start(jobId=OTHER)).status_code == 200:
            break
        await asyncio.sleep(0.005)
    assert again.json()[0]["jobId"] == OTHER


async def test_a_job_id_cannot_be_taken_over(front: Any) -> None:
    await front.start()
    answer = await front.start(agreementId="0xother")
    assert answer.status_code == 400
    assert len(front.cluster.names(LEASES)) == 1


async def test_grants_can_be_read_back_as_they_came(front: Any) -> None:
    await front.start()
    secret = await front.cluster.get(SECRETS, names.grants_secret_name(JOB))
    assert json.loads(secret["stringData"]["grants.json"])["inputs"][0]["files"] == ["f"]
    assert secret["metadata"]["ownerReferences"][0]["name"] == JOB
