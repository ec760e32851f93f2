"""A job request as a command: the command line, typed into a shell, asks for the same job."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest

from c2d_box.client import JobDetails, JobRequest, SpendingLimits
from c2d_box.client.job_request import parameter_line
from sandbox.cli.app import invoke
from sandbox.progress import Progress
from sandbox.verbs.compute import jobs
from sandbox.verbs.compute.job_parameters import parse_parameters
from tests.harness.unasked_box import take_words_as_ids

DATASET, ALGORITHM = "did:op:" + "a" * 64, "did:op:" + "b" * 64
VALUES: tuple[Any, ...] = (
    "plain",
    "two words, and 'quotes'",
    "",
    "3",
    "true",
    " 7",
    '"quoted"',
    "one\ntwo",
    "a=b",
    3,
    0.5,
    None,
    False,
    [1, "2"],
    {"deep": {"er": "ü"}},
)


@pytest.mark.parametrize(
    ("wanted", "options"),
    [
        (JobRequest(DATASET, ALGORITHM), ""),
        (JobRequest(DATASET, ALGORITHM, ("did:op:c", "did:op:d")), " --with did:op:c --with did:op:d"),
        (JobRequest(DATASET, ALGORITHM, environment="big"), " --environment big"),
        (JobRequest(DATASET, ALGORITHM, parameters={"n": 3, "s": "a b"}), " --param n=3 --param 's=a b'"),
        (JobRequest(DATASET, ALGORITHM, output={"encrypt": True}), " --encrypt"),
        (JobRequest(DATASET, ALGORITHM, output={"publish": {"name": "m", "free": False}}), " --publish m"),
        (
            JobRequest(DATASET, ALGORITHM, output={"publish": {"name": "my own", "free": True}}),
            " --publish 'my own' --free",
        ),
        (
            JobRequest(DATASET, ALGORITHM, spending=SpendingLimits(("2.5", "3:0xab"), 0.07)),
            " --max-price 2.5 --max-price 3:0xab --slippage 7",
        ),
        (JobRequest(DATASET, ALGORITHM, environment="a; rm -rf ~"), " --environment 'a; rm -rf ~'"),
    ],
)
def test_the_command_line_starts_the_same_job(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, wanted: JobRequest, options: str
) -> None:
    """A Provider names its environments itself, so what a user copies into a shell is quoted."""
    assert wanted.command_line() == f"start {DATASET} {ALGORITHM}{options}"
    asked = []

    def start(_box: Any, _who: str, request: JobRequest) -> Progress[JobDetails]:
        asked.append(request)
        return JobDetails.parse({"jobId": "1" * 32, "status": 1, "statusText": "Warming up"})
        yield

    take_words_as_ids(monkeypatch)
    monkeypatch.setattr(jobs, "start", start)
    assert invoke(["--home", str(tmp_path), *shlex.split(wanted.command_line())]) == 0
    assert asked == [wanted]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_a_parameter_is_read_back_as_it_was(value: Any) -> None:
    line = parameter_line("name", value)
    assert parse_parameters(line.splitlines()) == {"name": value}


def test_only_the_sdk_starts_a_raw_algorithm() -> None:
    with pytest.raises(ValueError, match="SDK only"):
        JobRequest(DATASET, {"rawcode": "print(1)"}).command_line()
