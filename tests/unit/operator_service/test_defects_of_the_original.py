"""Defects the original operator-service had, as the behaviour that replaced them; see docs/defects.md."""

from __future__ import annotations

from typing import Any

from tests.unit.operator_service.conftest import JOB, OWNER
from tests.unit.operator_service.test_jobs import RESULTS, eventually


async def finished(front: Any, results: list[dict[str, Any]]) -> dict[str, Any]:
    await front.start()
    await front.finish(results=results)
    found: dict[str, Any] = {}

    async def seen() -> bool:
        found.update((await front.call("GET", "/compute", jobId=JOB)).json()[0])
        return found["dateFinished"] is not None

    await eventually(seen)
    return found


async def test_a_result_named_in_any_script_hides_no_job(front: Any) -> None:
    names = ["結果.csv", "отчёт.txt", "naïve ☂.json", "a b&c=d?.txt"]
    status = await finished(front, [{**RESULTS[0], "filename": name} for name in names])
    assert [entry["filename"] for entry in status["results"]] == names


async def test_a_job_is_known_while_postgresql_is_away(front_without_postgres: Any) -> None:
    """Kubernetes knows the job. The service is the real composition: its nonces need PostgreSQL too."""
    front = front_without_postgres
    for query in ({"jobId": JOB}, {"owner": OWNER}, {"agreementId": "0xorder"}):
        answer = await front.call("GET", "/compute", **query)
        assert [entry["jobId"] for entry in answer.json()] == [JOB]


async def test_an_outage_of_postgresql_is_no_empty_list(front_without_postgres: Any) -> None:
    """Whether an unknown job ever was, only the history can say."""
    for query in ({"jobId": "f" * 32}, {"owner": "0xNobody"}):
        answer = await front_without_postgres.call("GET", "/compute", **query)
        assert (answer.status_code, answer.json()) == (503, {"error": "PostgreSQL is not available."})
