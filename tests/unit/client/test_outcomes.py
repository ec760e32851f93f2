"""Two sentences for every way to end."""

from __future__ import annotations

import pytest

from c2d_box.client import JobDetails
from c2d_box.client.job_outcomes import explain_outcome
from c2d_box.workflow import states

JOB = "0" * 32


def details(code: int, **more: object) -> JobDetails:
    told = {"jobId": JOB, "status": code, "statusText": states.state_text(code), "dateFinished": "1.0"}
    return JobDetails.parse({**told, **more})


@pytest.mark.parametrize("code", sorted(states.FINAL))
@pytest.mark.parametrize("reason", [None, "It broke.", "First. Second.\nThird"])
def test_every_end_is_told_in_two_sentences(code: int, reason: str | None) -> None:
    text = explain_outcome(details(code, reason=reason))
    assert text.replace("c2d-box job", "").count(". ") == 1, text
    assert text.endswith((".", "--to ."))
    if reason and code != states.State.FINISHED:
        assert reason.split(".")[0] in text


def test_a_stopped_job_is_told_from_a_finished_one() -> None:
    assert "stopped by its owner" in explain_outcome(details(70, stopreq=1))
    assert "time limit" in explain_outcome(details(70, stopreq=2))


def test_a_running_job_has_not_ended() -> None:
    assert explain_outcome(details(40, dateFinished=None)).startswith(
        "The job has not ended: Running algorithm."
    )
