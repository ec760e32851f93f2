"""Defects the original operator-service had, as the behaviour that replaced them; see docs/defects.md."""

from __future__ import annotations

from typing import Any

from tests.unit.operator_service.conftest import JOB, OWNER, NoDatabase
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


async def test_a_job_is_known_while_postgresql_is_away(front: Any) -> None:
    """An error of the database is never an empty success: Kubernetes knows the job."""
    assert isinstance(front.jobs._database, NoDatabase)
    await front.start()
    for query in ({"jobId": JOB}, {"owner": OWNER}, {"agreementId": "0xorder"}):
        assert [entry["jobId"] for entry in (await front.call("GET", "/compute", **query)).json()] == [JOB]
