"""What can be asked for a job's results, and what contradicts itself."""

from __future__ import annotations

from typing import Any

import pytest

from c2d_box.errors import UsageError
from sandbox.verbs.output import Output


@pytest.mark.parametrize(
    ("output", "asked"),
    [
        (Output(), None),
        (Output(encrypt=True), {"encrypt": True}),
        (Output(publish="mine"), {"publish": {"name": "mine", "free": False}}),
        (Output(publish="mine", free=True), {"publish": {"name": "mine", "free": True}}),
    ],
)
def test_it_is_asked_for_as_the_sdk_takes_it(output: Output, asked: dict[str, Any] | None) -> None:
    assert output.asked() == asked


@pytest.mark.parametrize("wrong", [{"encrypt": True, "publish": "mine"}, {"free": True}])
def test_what_contradicts_itself_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="C2D-OUTPUT"):
        Output(**wrong)
