"""Events on stderr where no terminal is: one line each, no inner progress."""

from __future__ import annotations

import json

import pytest

from sandbox.cli.narration import describe_event, json_lines, plain_lines
from sandbox.progress import ProgressEvent


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (ProgressEvent("a", "started", "building a", seconds=61), "→ building a  (about 61 s)"),
        (ProgressEvent("a", "done", "building a", seconds=0.26), "✓ building a  0.3 s"),
        (ProgressEvent("a", "skipped", "a is there"), "– a is there"),
        (ProgressEvent("a", "failed", seconds=2), "✗ a  2.0 s"),
        (ProgressEvent("a", "note", "plain words"), "plain words"),
    ],
)
def test_an_event_reads_as_one_line(event: ProgressEvent, text: str) -> None:
    assert describe_event(event) == text


def test_inner_progress_is_left_out_of_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    plain_lines(ProgressEvent("a", "progress", "half", fraction=0.5))
    assert capsys.readouterr().err == ""


def test_json_lines_carry_the_whole_event(capsys: pytest.CaptureFixture[str]) -> None:
    json_lines(ProgressEvent("a", "progress", "half", fraction=0.5))
    assert json.loads(capsys.readouterr().err)["event"]["fraction"] == 0.5
