"""What took how long."""

from __future__ import annotations

import pytest

from c2d_box.client import JobDetails
from sandbox.verbs.compute.job_timeline import job_overhead, seconds_by_stage

JOB = JobDetails.parse(
    {
        "dateCreated": "100.0",
        "times": {
            "bound": "100.5",
            "staged": "101.5",
            "started": "101.7",
            "exited": "105.7",
            "finished": "106.0",
        },
    }
)


def test_stages_come_in_their_order_and_add_up() -> None:
    found = seconds_by_stage(JOB)
    assert next(iter(found)) == "making the job's volume"
    assert found["the algorithm itself"] == pytest.approx(4.0)
    assert sum(found.values()) == pytest.approx(6.0)


def test_overhead_is_everything_but_the_algorithm() -> None:
    assert job_overhead(JOB) == pytest.approx(2.0)


def test_a_job_that_never_ran_has_stages_but_no_overhead() -> None:
    job = JobDetails.parse({"dateCreated": "1.0", "times": {"admitted": "2.0", "finished": "3.0"}})
    assert job_overhead(job) is None
    assert sum(seconds_by_stage(job).values()) == pytest.approx(2.0)


def test_a_job_just_accepted_has_no_stages() -> None:
    assert seconds_by_stage(JobDetails.parse({"dateCreated": "1.0", "times": {}})) == {}
