"""Each Provider has to do with the jobs that it started, and a store that errs is told as that."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from c2d_box.assets.crypto import signatures
from c2d_box.operator_service import events
from c2d_box.workflow.resource import WORKFLOWS
from tests.harness.fake_services import BackgroundServer

from .conftest import JOB, KEY, OTHER_KEY, OWNER, PREFIX, ServiceFront, front_for, job_payload, settings_for

OTHER_JOB = "f" * 32
BOTH = [signatures.address_of(KEY), signatures.address_of(OTHER_KEY)]


@pytest.fixture
async def two(tmp_path: Path) -> AsyncIterator[ServiceFront]:
    """Two allowed Providers; the job is the first one's."""
    async with front_for(settings_for(tmp_path, allowedProviders=BOTH)) as made:
        assert (await made.start()).status_code == 200
        yield made


@pytest.mark.parametrize("query", [{"jobId": JOB}, {"owner": OWNER}, {"agreementId": "0xorder"}])
async def test_another_providers_job_is_not_listed(two: ServiceFront, query: dict[str, str]) -> None:
    assert len((await two.call("GET", "/compute", **query)).json()) == 1
    assert (await two.call("GET", "/compute", key=OTHER_KEY, **query)).json() == []


async def test_another_providers_job_is_not_stopped_or_deleted(two: ServiceFront) -> None:
    for method in ("PUT", "DELETE"):
        await two.call(method, "/compute", key=OTHER_KEY, owner=OWNER, jobId=JOB)
    body = await two.cluster.get(WORKFLOWS, JOB)
    assert body is not None and body["spec"].get("stop") is None
    assert "deletionTimestamp" not in body["metadata"]
    await two.call("PUT", "/compute", owner=OWNER, jobId=JOB)
    body = await two.cluster.get(WORKFLOWS, JOB)
    assert body is not None and body["spec"]["stop"] is True


@pytest.mark.parametrize(
    ("path", "more"), [("/getResult", {"index": "0"}), ("/logs", {"component": "algorithm"})]
)
async def test_another_providers_results_and_logs_are_not_read(
    two: ServiceFront, path: str, more: dict[str, str]
) -> None:
    await two.finish(results=[{"filename": "a", "filesize": 1, "type": "output", "url": "ipfs://x/a"}])
    answer = await two.call("GET", path, key=OTHER_KEY, owner=OWNER, jobId=JOB, **more)
    assert (answer.status_code, answer.json()) == (404, {"error": f"Owner {OWNER} mismatch for job {JOB}"})


async def test_a_job_id_of_another_provider_is_taken(two: ServiceFront) -> None:
    answer = await two.call("POST", "/compute", job_payload(), key=OTHER_KEY)
    assert answer.json() == {"error": "`jobId` already in use for other job."}
    answer = await two.call("POST", "/compute", job_payload(jobId=OTHER_JOB), key=OTHER_KEY)
    assert answer.json() == {"error": "`agreementId` already in use for other job."}, (
        "an order is one for all"
    )


async def test_news_are_of_ones_own_jobs(two: ServiceFront) -> None:
    await two.call("POST", "/compute", job_payload(jobId=OTHER_JOB, agreementId="0xother"), key=OTHER_KEY)
    for provider, expected in zip(BOTH, (JOB, OTHER_JOB), strict=True):
        told = []
        async with asyncio.timeout(5):
            async for chunk in events.stream_events(two.jobs, provider.lower()):
                if chunk.startswith(b"data: "):
                    told.append(json.loads(chunk[6:])["jobId"])
                    break
        assert told == [expected]


async def test_the_operator_sees_all_of_them(two: ServiceFront) -> None:
    listed = await two.client.get(f"{PREFIX}/list", headers={"Admin": "letmein"})
    assert [entry["jobId"] for entry in listed.json()] == [JOB]


async def test_an_order_in_use_is_no_strangers_business(two: ServiceFront) -> None:
    """Nobody learns without a signature whether an order has a job."""
    for agreement in ("0xorder", "0xunused"):
        body = json.dumps(job_payload(jobId=OTHER_JOB, agreementId=agreement)).encode()
        answer = await two.client.post(f"{PREFIX}/compute", content=body)
        assert answer.status_code == 401


class Store:
    """A store of results whose answers are set by the test."""

    def __init__(self) -> None:
        self.status, self.asked = 200, 0

    def app(self) -> Starlette:
        async def serve(_: Request) -> Response:
            self.asked += 1
            return Response(b"a line\n", self.status)

        return Starlette(routes=[Route("/{path:path}", serve)])


@pytest.fixture
def store() -> Iterator[tuple[Store, str]]:
    made = Store()
    with BackgroundServer(made.app()) as served:
        yield made, served.url


def _placed(kind: str, url: str) -> tuple[dict[str, Any], str]:
    if kind == "ipfs":
        return {"kind": "ipfs", "api": url, "gateway": url}, f"ipfs://bafy{'a' * 55}/logs/algorithm.log"
    return {"kind": "s3", "endpoint": url, "bucket": "results"}, f"s3://results/{JOB}/logs/algorithm.log"


LOGS = {"jobId": JOB, "owner": OWNER, "component": "algorithm"}
RESULT = {"jobId": JOB, "owner": OWNER, "index": "0"}


async def finished(front: ServiceFront, url: str) -> None:
    await front.start()
    entry = {"filename": "algorithm.log", "filesize": 7, "type": "algorithmLog", "url": url}
    await front.finish(results=[entry])
    async with asyncio.timeout(5):
        while not (workflow := front.jobs.get_job(JOB)) or not workflow.finished:  # noqa: ASYNC110 - no event
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("kind", ["ipfs", "s3"])
@pytest.mark.parametrize(("status", "told"), [(403, 503), (404, 404), (500, 503), (302, 503), (200, 200)])
async def test_a_store_that_errs_is_no_empty_log(
    tmp_path: Path, store: tuple[Store, str], kind: str, status: int, told: int
) -> None:
    answering, url = store
    place, result = _placed(kind, url)
    for name in ("s3-access-key", "s3-secret-key"):
        (tmp_path / name).write_text("x")
    async with front_for(settings_for(tmp_path, resultStore=place)) as front:
        await finished(front, result)
        answering.status = status
        for path, query in (("/logs", LOGS), ("/getResult", RESULT)):
            answer = await front.call("GET", path, **query)
            assert answer.status_code == told
            assert answer.text == "a line\n" if told == 200 else answer.json()["error"]
            assert told == 200 or str(answer.json()["error"]).startswith("Error getResult: the result store")


@pytest.mark.parametrize(
    "wrong",
    [
        f"s3://published-0x1/{JOB}/logs/x",
        f"s3://results/{'e' * 32}/logs/x",
        f"s3://results/{JOB}/../published/x",
        f"s3://results/{JOB}/%2e%2e/published/x",
        f"s3://results/{JOB}x/y",
        "s3://results/",
        f"http://results/{JOB}/x",
    ],
)
async def test_nothing_is_signed_outside_of_the_jobs_prefix(
    tmp_path: Path, store: tuple[Store, str], wrong: str
) -> None:
    """Even where the status names it, as a report of old could."""
    answering, url = store
    for name in ("s3-access-key", "s3-secret-key"):
        (tmp_path / name).write_text("x")
    async with front_for(settings_for(tmp_path, resultStore=_placed("s3", url)[0])) as front:
        await finished(front, wrong)
        assert (await front.call("GET", "/getResult", **RESULT)).status_code == 404
        assert answering.asked == 0


async def test_a_store_that_is_away_is_told_as_that(tmp_path: Path) -> None:
    place, result = _placed("ipfs", "http://127.0.0.1:9")
    async with front_for(settings_for(tmp_path, resultStore=place)) as front:
        await finished(front, result)
        for path, query in (("/logs", LOGS), ("/getResult", RESULT)):
            answer = await front.call("GET", path, **query)
            assert answer.status_code == 503 and "cannot be reached" in answer.json()["error"]
