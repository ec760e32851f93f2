"""A Provider's job, parsed once: what it tells, what it leaves out, and what is no answer."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from c2d_box.client.jobs import JobDetails
from c2d_box.client.services.provider import Provider
from c2d_box.errors import Failed
from sandbox.cli.output import as_json

DATASET, JOB = "did:op:" + "a" * 64, "0" * 32
WIRE: dict[str, Any] = {
    "agreementId": "0x01",
    "jobId": JOB,
    "owner": "0xAb",
    "status": 70,
    "statusText": "Job finished ",
    "dateCreated": "1767225600.500000",
    "dateFinished": "1767225609.500000",
    "results": [{"filename": "a", "filesize": 1, "type": "output", "index": 0}],
    "stopreq": 1,
    "removed": 0,
    "algoDID": "raw",
    "inputDID": [DATASET],
    "orders": ["0x01", "0x02"],
    "environment": "big",
    "reason": "",
    "exitCode": 0,
    "evidence": {"head": "0xff"},
    "asset": None,
    "times": {"accepted": "1767225600.500000", "started": None},
    "ofThisProviderOnly": True,
}


def test_all_that_a_provider_tells_is_typed() -> None:
    job = JobDetails.parse(WIRE)
    assert (job.id, job.owner, job.status, job.text) == (JOB, "0xAb", 70, "Job finished")
    assert (job.algorithm, job.inputs, job.environment) == ("raw", (DATASET,), "big")
    assert (job.agreement, job.orders) == ("0x01", ("0x01", "0x02"))
    assert (job.created, job.ended, job.times) == (1767225600.5, 1767225609.5, {"accepted": 1767225600.5})
    assert (job.stop_reason, job.reason, job.exit_code, job.evidence_head) == (1, "", 0, "0xff")
    assert job.has_ended and job.has_succeeded and job.results == tuple(WIRE["results"])


def test_scripts_get_the_providers_own_object() -> None:
    """Documents of the command line stay what they were, to the byte, also inside other values."""
    job = JobDetails.parse(WIRE)
    assert json.dumps(as_json([job]), indent=2) == json.dumps([WIRE], indent=2)


@pytest.mark.parametrize("wire", [{}, dict.fromkeys(WIRE), {**dict.fromkeys(WIRE, ""), "jobId": ""}])
def test_what_is_not_told_is_empty(wire: dict[str, Any]) -> None:
    job = JobDetails.parse(wire)
    assert (job.id, job.status, job.inputs, job.results, job.exit_code) == ("", 0, (), (), None)
    assert not job.has_ended and not job.has_succeeded


def test_older_providers_write_less() -> None:
    wire = {"status": "75", "inputDID": DATASET, "results": [{"filename": "a"}, {"filename": "b"}]}
    job = JobDetails.parse(wire)
    assert (job.status, job.inputs) == (75, (DATASET,))
    assert [result["index"] for result in job.results] == [0, 1]


@pytest.mark.parametrize("value", ["x", [], {}, "nan", 10**400, float("inf"), [[]], {"times": {}}, True])
def test_no_value_of_a_stranger_breaks_the_parser(value: Any) -> None:
    for key in WIRE:
        JobDetails.parse({**WIRE, key: value})


@pytest.mark.parametrize("answer", [["x"], [None], 3])
def test_what_is_no_job_is_a_coded_failure(world: Any, answer: Any) -> None:
    def told(request: httpx.Request) -> httpx.Response:
        endpoints = {"computeStatus": ["GET", "/api/services/compute"]}
        root = {"providerAddresses": {}, "serviceEndpoints": endpoints}
        return httpx.Response(200, json=root if request.url.path == "/" else answer)

    world.connection.__dict__["provider"] = Provider("http://odd.test", 8996, httpx.MockTransport(told))
    for ask in (world.consumer.jobs, lambda: world.consumer.get_job_details(JOB)):
        with pytest.raises(Failed, match="C2D-ANSWER-INVALID"):
            ask()
