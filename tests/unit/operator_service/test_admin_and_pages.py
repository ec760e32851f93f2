"""What operators see, lists in pages, and logs that are waited for."""

from __future__ import annotations

import asyncio
import uuid
from pathlib import Path
from typing import Any

import httpx
import pytest

from c2d_box.assets.crypto import ecies
from c2d_box.kubernetes.port import PODS
from c2d_box.workflow import names
from c2d_box.workflow.resource import WORKFLOWS

from .conftest import JOB, OWNER, PREFIX, front_for, job_payload, settings_for

ADMIN = {"Admin": "letmein"}


async def jobs(front: Any, count: int) -> list[str]:
    made = []
    for number in range(count):
        job = f"{number:032x}"
        answer = await front.start(jobId=job, agreementId=f"0xorder{number}")
        assert answer.status_code == 200, answer.text
        made.append(job)
        await asyncio.sleep(0.002)
    return made


async def test_pages_hold_every_job_once(front: Any) -> None:
    made = await jobs(front, 7)
    seen: list[str] = []
    before = ""
    while True:
        page = (await front.call("GET", "/compute", owner=OWNER, limit="3", before=before)).json()
        assert len(page) <= 3
        if not page:
            break
        seen += [entry["jobId"] for entry in page]
        before = page[-1]["dateCreated"]
    assert seen == list(reversed(made))


@pytest.mark.parametrize("query", [{"limit": "0"}, {"limit": "1001"}, {"limit": "x"}, {"before": "noon"}])
async def test_a_page_that_cannot_be_is_refused(front: Any, query: dict[str, str]) -> None:
    assert (await front.call("GET", "/compute", owner=OWNER, **query)).status_code == 400


async def test_an_operator_lists_jobs_of_all_owners_and_looks_into_one(front: Any) -> None:
    await front.start()
    await front.start(jobId="f" * 32, agreementId="0xother", owner="0x" + "9" * 40)
    listed = (await front.client.get(f"{PREFIX}/list", headers=ADMIN)).json()
    assert {entry["jobId"] for entry in listed} == {JOB, "f" * 32}
    seen = (await front.client.get(f"{PREFIX}/info", params={"jobId": JOB}, headers=ADMIN)).json()
    assert seen["spec"]["agreementId"] == job_payload()["agreementId"]
    assert "http" not in str(seen["spec"])


@pytest.mark.parametrize("route", ["info", "list", "runningjobs"])
async def test_nobody_else_does(front: Any, route: str) -> None:
    assert (await front.client.get(f"{PREFIX}/{route}")).status_code == 400
    assert (await front.client.get(f"{PREFIX}/{route}", headers={"Admin": "guess"})).status_code == 401


async def test_the_routes_describe_themselves(front: Any) -> None:
    described = (await front.client.get("/spec")).json()
    assert {"get", "post", "put", "delete"} <= set(described["paths"][f"{PREFIX}/compute"])
    assert all(operation["summary"] for path in described["paths"].values() for operation in path.values())
    assert PREFIX in (await front.client.get("/api/v1/docs/")).text


async def test_who_follows_waits_for_the_log_to_begin(front: Any) -> None:
    await front.start()
    following = asyncio.create_task(
        front.call("GET", "/logs", owner=OWNER, jobId=JOB, component="algorithm", follow="true")
    )
    await asyncio.sleep(0.05)
    assert not following.done()
    pod = names.pod_name(JOB, "algorithm")
    front.cluster.pod_logs[pod, "algorithm"] = b"at last\n"
    await front.cluster.create(PODS, {"metadata": {"name": pod}})
    answer = await following
    assert answer.text == "at last\n"


async def test_with_a_disclosure_rule_the_live_log_is_nobodys(front: Any) -> None:
    stages = job_payload()["workflow"]["stages"]
    ruled = [{**stages[0], "output": {"disclosure": {"minCell": 5}}}]
    assert (await front.start(workflow={"stages": ruled})).status_code == 200
    pod = names.pod_name(JOB, "algorithm")
    front.cluster.pod_logs[pod, "algorithm"] = b"row 1: the secret\n"
    await front.cluster.create(PODS, {"metadata": {"name": pod}})
    answer = await front.call("GET", "/logs", owner=OWNER, jobId=JOB, component="algorithm")
    assert answer.status_code == 404


async def test_results_can_be_wanted_encrypted_and_then_not_as_an_asset(front: Any) -> None:
    key = ecies.public_key_of("11" * 32)
    stages = job_payload()["workflow"]["stages"]
    for output, status in (({"encrypt": key[4:]}, 200), ({"encrypt": key, "publish": {"name": "x"}}, 400)):
        job = uuid.uuid4().hex
        wanted = {"stages": [{**stages[0], "output": output}]}
        answer = await front.start(workflow=wanted, jobId=job, agreementId=job)
        assert answer.status_code == status, answer.text
        if status == 200:
            made = await front.cluster.get(WORKFLOWS, job)
            assert made["spec"]["stages"][0]["output"] == {"encrypt": key}


async def test_a_store_that_others_read_takes_encrypted_results_only(tmp_path: Path) -> None:
    store = {"kind": "ipfs", "api": "http://i", "gateway": "http://g", "requireEncryption": True}
    async with front_for(settings_for(tmp_path, resultStore=store)) as front:
        answer = await front.start()
    assert answer.status_code == 400
    assert "output.encrypt is missing" in answer.json()["error"]


async def test_a_stored_log_that_is_encrypted_is_not_shown(front: Any) -> None:
    await front.start()
    sealed = {"filename": "algorithm.log.ecies", "filesize": 9, "type": "algorithmLog", "url": "ipfs://c/l"}
    await front.finish(results=[{**sealed, "encryption": "ecies"}])
    await asyncio.sleep(0.05)
    answer = await front.call("GET", "/logs", owner=OWNER, jobId=JOB, component="algorithm")
    assert answer.status_code == 409
    assert "encrypted for its owner" in answer.json()["error"]
    (listed,) = (await front.call("GET", "/compute", jobId=JOB)).json()[0]["results"]
    assert listed["encryption"] == "ecies"


@pytest.mark.parametrize(
    "output",
    [
        {"publish": {"price": 3}},
        {"publish": []},
        {"disclosure": {"minCell": 0}},
        {"disclosure": {"x": 1}},
        {"encrypt": "0x12"},
    ],
)
async def test_an_output_section_that_cannot_be_meant_is_refused(front: Any, output: Any) -> None:
    stages = job_payload()["workflow"]["stages"]
    answer = await front.start(workflow={"stages": [{**stages[0], "output": output}]})
    assert answer.status_code == 400
    assert "output section" in answer.json()["error"]


async def test_guessing_the_password_is_slow_and_shuts_nobody_else_out(front: Any) -> None:
    for _ in range(20):
        assert (await front.client.get(f"{PREFIX}/list", headers={"Admin": "guess"})).status_code == 401
    for word in ("guess", "letmein"):
        answer = await front.client.get(f"{PREFIX}/list", headers={"Admin": word})
        assert answer.status_code == 429, "also the right one, or guessing would go on"
    transport = httpx.ASGITransport(front.client._transport.app, client=("10.0.0.9", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://operator") as elsewhere:
        assert (await elsewhere.get(f"{PREFIX}/runningjobs", headers=ADMIN)).status_code == 200
