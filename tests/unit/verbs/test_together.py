"""Verbs side by side."""

from __future__ import annotations

import threading

import pytest

from sandbox.parallel import run_together
from sandbox.progress import Progress, ProgressEvent, run_verb


def _counting(name: str, upto: int) -> Progress[int]:
    for number in range(upto):
        yield ProgressEvent(name, "progress", str(number))
    return upto


def _meeting(barrier: threading.Barrier) -> Progress[str]:
    yield ProgressEvent("meet", "started")
    barrier.wait(timeout=5)
    return "met"


def _failing() -> Progress[int]:
    yield ProgressEvent("bad", "started")
    raise ValueError("no")


def _endless(stopped: threading.Event) -> Progress[int]:
    try:
        while True:
            yield ProgressEvent("endless", "progress")
    finally:
        stopped.set()


def test_results_come_in_the_order_of_the_verbs() -> None:
    events: list[ProgressEvent] = []
    assert run_verb(run_together([_counting("a", 3), _counting("b", 1)]), events.append) == [3, 1]
    assert sorted(event.step for event in events) == ["a", "a", "a", "b"]


def test_verbs_really_run_at_the_same_time() -> None:
    barrier = threading.Barrier(2)
    assert run_verb(run_together([_meeting(barrier), _meeting(barrier)]), lambda event: None) == [
        "met",
        "met",
    ]


def test_a_failure_stops_the_others_and_is_raised() -> None:
    stopped = threading.Event()
    with pytest.raises(ValueError, match="no"):
        run_verb(run_together([_failing(), _endless(stopped)]), lambda event: None)
    assert stopped.wait(5)


def test_nothing_to_do_is_done_at_once() -> None:
    nothing: list[Progress[int]] = []
    assert run_verb(run_together(nothing), lambda event: None) == []
