"""What can be asked for a job's results, and what contradicts itself."""

from __future__ import annotations

from typing import Any

import pytest

from c2d_box.errors import UsageError
from sandbox.verbs.compute.job_output import JobOutput


@pytest.mark.parametrize(
    ("output", "asked"),
    [
        (JobOutput(), None),
        (JobOutput(encrypt=True), {"encrypt": True}),
        (JobOutput(publish="mine"), {"publish": {"name": "mine", "free": False}}),
        (JobOutput(publish="mine", free=True), {"publish": {"name": "mine", "free": True}}),
    ],
)
def test_it_is_asked_for_as_the_sdk_takes_it(output: JobOutput, asked: dict[str, Any] | None) -> None:
    assert output.sdk_output() == asked


@pytest.mark.parametrize("wrong", [{"encrypt": True, "publish": "mine"}, {"free": True}])
def test_what_contradicts_itself_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="C2D-OUTPUT"):
        JobOutput(**wrong)
