"""Reading, stopping, deleting jobs; their results and logs; the operator's own routes."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest

from c2d_box.kubernetes.memory import MemoryCluster
from c2d_box.kubernetes.port import LEASES, PODS, ClusterError
from c2d_box.operator_service import events
from c2d_box.operator_service.heartbeat import EngineHeartbeat
from c2d_box.workflow import leases, names
from c2d_box.workflow.resource import WORKFLOWS

JOB = "0123456789abcdef0123456789abcdef"
OWNER = "0xE2DD09d719Da89e5a3D0F2549c7E24566e947260"
CID = "bafy" + "a" * 55
RESULTS = [
    {
        "filename": "sub/metrics.json",
        "filesize": 5,
        "type": "output",
        "url": "ipfs://" + CID + "/outputs/sub/metrics.json",
    },
    {
        "filename": "algorithm.log",
        "filesize": 4,
        "type": "algorithmLog",
        "url": "ipfs://" + CID + "/logs/algorithm.log",
    },
]


async def eventually(check: Any) -> None:
    for _ in range(200):
        if await check():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("never")


async def finished(front: Any, **status: Any) -> None:
    await front.start()
    await front.finish(results=RESULTS, **status)

    async def seen() -> bool:
        return (await front.call("GET", "/compute", jobId=JOB)).json()[0]["dateFinished"] is not None

    await eventually(seen)


async def test_a_job_is_found_by_owner_order_and_number(front: Any) -> None:
    await front.start()
    for query in (
        {"owner": OWNER.lower()},
        {"agreementId": "0xorder"},
        {"jobId": JOB},
        {"jobId": JOB, "owner": OWNER},
    ):
        (status,) = (await front.call("GET", "/compute", **query)).json()
        assert status["jobId"] == JOB
    assert (await front.call("GET", "/compute", jobId=JOB, owner="0xother")).json() == []


async def test_something_must_be_asked_for(front: Any) -> None:
    answer = await front.call("GET", "/compute", owner="x")
    assert answer.json() == {"error": "You have to specify one of agreementId, jobId or owner"}


async def test_the_status_object_has_oceans_types(front: Any) -> None:
    await finished(front)
    (status,) = (await front.call("GET", "/compute", jobId=JOB)).json()
    assert float(status["dateFinished"]) == 1767225609.5
    assert isinstance(status["dateCreated"], str)
    assert status["results"] == [
        {"filename": "sub/metrics.json", "filesize": 5, "type": "output", "index": 0},
        {"filename": "algorithm.log", "filesize": 4, "type": "algorithmLog", "index": 1},
    ]
    assert not {"resultsUrl", "algorithmLogUrl", "resultsDid"} & set(status)
    assert status["inputDID"] == ["did:op:" + "a" * 64]


async def test_a_stop_is_a_wish_in_the_workflow(front: Any) -> None:
    await front.start()
    (status,) = (await front.call("PUT", "/compute", owner=OWNER, jobId=JOB)).json()
    assert status["stopreq"] == 1
    assert (await front.cluster.get(WORKFLOWS, JOB))["spec"]["stop"] is True


async def test_a_stop_must_say_which_job(front: Any) -> None:
    await front.start()
    answer = await front.call("PUT", "/compute", owner=OWNER)
    assert answer.status_code == 400
    assert (await front.cluster.get(WORKFLOWS, JOB))["spec"].get("stop") is None


async def test_nobody_stops_or_deletes_anothers_job(front: Any) -> None:
    await front.start()
    assert (await front.call("PUT", "/compute", owner="0xother", jobId=JOB)).json() == []
    await front.call("DELETE", "/compute", owner="0xother", jobId=JOB)
    workflow = await front.cluster.get(WORKFLOWS, JOB)
    assert workflow["spec"].get("stop") is None
    assert "deletionTimestamp" not in workflow["metadata"]


async def test_a_delete_asks_kubernetes_to_clean_up(front: Any) -> None:
    await front.start()
    answer = await front.call("DELETE", "/compute", owner=OWNER, jobId=JOB)
    assert (answer.status_code, answer.json()) == (200, "")
    assert "deletionTimestamp" in (await front.cluster.get(WORKFLOWS, JOB))["metadata"]


@pytest.mark.parametrize(
    ("query", "status", "text"),
    [
        ({"index": "0", "owner": "0xother"}, 404, f"Owner 0xother mismatch for job {JOB}"),
        ({"index": "-1", "owner": OWNER}, 404, "Negative index -1"),
        ({"index": "5", "owner": OWNER}, 404, "No such index 5 in this compute job"),
    ],
)
async def test_results_are_refused_in_the_originals_words(
    front: Any, query: dict[str, str], status: int, text: str
) -> None:
    await finished(front)
    answer = await front.call("GET", "/getResult", jobId=JOB, **query)
    assert (answer.status_code, answer.json()) == (status, {"error": text})


async def test_a_result_is_streamed_from_the_gateway(front: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    await finished(front)
    asked: list[httpx.Request] = []

    def gateway(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, stream=httpx.ByteStream(b"{}"), headers={"content-type": "text/plain"})

    real = httpx.AsyncClient.send

    async def send(client: httpx.AsyncClient, request: httpx.Request, **options: Any) -> httpx.Response:
        if request.url.host == "ipfs":
            return gateway(request)
        return await real(client, request, **options)

    monkeypatch.setattr(httpx.AsyncClient, "send", send)
    answer = await front.call("GET", "/getResult", jobId=JOB, owner=OWNER, index="0")
    assert answer.content == b"{}"
    assert str(asked[0].url) == f"http://ipfs:8080/ipfs/{CID}/outputs/sub/metrics.json"
    assert answer.headers["content-disposition"] == "attachment;filename=metrics.json"
    assert answer.headers["content-type"].startswith("application/json")


async def test_a_live_log_passes_the_gate(front: Any) -> None:
    await front.start()
    await front.cluster.create(PODS, {"metadata": {"name": names.pod_name(JOB, "algorithm")}})
    query = {"jobId": JOB, "owner": OWNER, "component": "algorithm"}
    assert (await front.call("GET", "/logs", **query)).status_code == 404
    front.cluster.pod_logs[names.pod_name(JOB, "algorithm"), "algorithm"] = b"fine\n\x1b[2J"
    answer = await front.call("GET", "/logs", **query)
    assert answer.text == "fine\n\\x1b[2J"
    assert (await front.call("GET", "/logs", **{**query, "owner": "0xother"})).status_code == 404
    assert (await front.call("GET", "/logs", **{**query, "component": "x"})).status_code == 400


async def test_an_end_is_told_at_once(front: Any) -> None:
    await front.start()
    told: list[dict[str, Any]] = []

    async def listen() -> None:
        async for chunk in events.stream_events(front.jobs, None):
            if chunk.startswith(b"data: "):
                told.append(json.loads(chunk[6:]))

    task = asyncio.create_task(listen())
    await front.finish()

    async def end() -> bool:
        return bool(told and told[-1]["dateFinished"])

    await eventually(end)
    task.cancel()
    assert told[-1]["jobId"] == JOB
    assert (told[-1]["status"], told[-1]["final"]) == (70, True)


async def test_a_listener_does_not_remember_jobs_that_are_gone(
    front: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Provider listens for months: what it was told of each job would add up."""
    monkeypatch.setattr(events, "REMEMBERED", 3)
    stream: Any = events.stream_events(front.jobs, None)
    assert await anext(stream) == b": connected\n\n"
    for number in range(12):
        job = f"{number:032x}"
        await front.start(jobId=job, agreementId=f"0x{number}", orders=[f"0x{number}"])
        assert job.encode() in await anext(stream)
        await front.cluster.delete(WORKFLOWS, job)
        await front.cluster.patch(WORKFLOWS, job, {"metadata": {"finalizers": None}})

        async def gone(job: str = job) -> bool:
            return front.jobs.get_job(job) is None

        await eventually(gone)
    assert len(stream.ag_frame.f_locals["told"]) <= 5
    await stream.aclose()


async def test_events_are_for_providers(front: Any) -> None:
    assert (await front.client.get("/api/v1/operator/events")).status_code == 401


async def test_environments_are_numbers(front: Any) -> None:
    (environment,) = (await front.client.get("/api/v1/operator/environments?chainId=8996")).json()
    assert environment["priceMin"] == 0
    assert not isinstance(environment["priceMin"], str)
    assert environment["currentJobs"] == 0
    assert (await front.client.get("/api/v1/operator/environments?chainId=1")).json() == []
    assert (await front.client.get("/api/v1/operator/environments")).status_code == 400


@pytest.mark.parametrize("page", [{"before": "nan"}, {"before": "1e999"}, {"limit": "inf"}, {"limit": "0"}])
async def test_a_page_that_is_none_is_refused(front: Any, page: dict[str, str]) -> None:
    """Not a number is no moment to PostgreSQL either, which would end the request with 500."""
    assert (await front.call("GET", "/compute", owner=OWNER, **page)).status_code == 400


async def test_jobs_of_another_chain_are_not_listed(front: Any) -> None:
    await front.start()
    assert len((await front.call("GET", "/compute", owner=OWNER, chainId="8996")).json()) == 1
    assert (await front.call("GET", "/compute", owner=OWNER, chainId="1")).json() == []


async def test_an_environment_was_last_seen_when_its_engine_was(front: Any) -> None:
    """A dead engine is not announced as one that lives; without any there is no such moment."""
    path = "/api/v1/operator/environments?chainId=8996"
    assert (await front.client.get(path)).json()[0]["lastSeen"] == "0.000000"
    body = {
        "metadata": {"name": leases.ENGINE},
        "spec": {"holderIdentity": "engine", "renewTime": "2026-01-01T00:00:01.500000Z"},
    }
    await front.cluster.create(LEASES, body)
    assert await EngineHeartbeat(front.cluster).last_seen() == 1767225601.5


async def test_while_kubernetes_is_away_the_last_moment_stands() -> None:
    class Away(MemoryCluster):
        async def get(self, resource: Any, name: str) -> Any:
            if self.gone:
                raise ClusterError("away")
            return {"spec": {"renewTime": "2026-01-01T00:00:01.500000Z"}}

        gone = False

    cluster, now = Away(), 0.0
    heartbeat = EngineHeartbeat(cluster, lambda: now)
    assert await heartbeat.last_seen() == 1767225601.5
    cluster.gone, now = True, 100.0
    assert await heartbeat.last_seen() == 1767225601.5


async def test_the_operators_routes_want_the_password(front: Any) -> None:
    await front.start()
    path = "/api/v1/operator/runningjobs"
    empty = await front.client.get(path)
    assert (empty.status_code, empty.text) == (400, "Admin header is empty.\nstatus code: 400")
    wrong = await front.client.get(path, headers={"Admin": "myAdminPass"})
    assert (wrong.status_code, wrong.text.splitlines()[0]) == (
        401,
        "Access admin route failed due to invalid admin address.",
    )
    (job,) = (await front.client.get(path, headers={"Admin": "letmein"})).json()
    assert job["namespace"] == "ocean-compute"


async def test_pgsqlinit_says_when_it_failed(front_without_postgres: Any) -> None:
    answer = await front_without_postgres.client.post(
        "/api/v1/operator/pgsqlinit", headers={"Admin": "letmein"}
    )
    assert answer.status_code == 500
    assert answer.text.startswith("Error PostgreSQL:")
    assert answer.headers["content-type"].startswith("text/html")


async def test_the_root_says_what_this_is(front: Any) -> None:
    assert (await front.client.get("/")).json()["software"] == "Operator service"
    assert (await front.client.get("/healthz")).json() == {"ready": True}
    assert (await front.client.get("/livez")).json() == {"live": True}


async def test_without_postgresql_it_is_ready_and_says_what_is_not(front_without_postgres: Any) -> None:
    assert (await front_without_postgres.client.get("/healthz")).status_code == 200
    assert (await front_without_postgres.client.get("/healthz/database")).status_code == 503
