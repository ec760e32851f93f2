"""docs/job-states.md draws which state follows which. The engine's own rules are walked to hold it true:
from each point of a job's straight way each mishap, and then everybody does their duty.
"""

from __future__ import annotations

import copy
import random
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from c2d_box.workflow import states
from c2d_box.workflow.states import State
from tests.harness.job_model import MOVES, JobModel, engine_until_quiet, everybody_does_their_duty

PAGE = Path(__file__).parents[3] / "docs" / "job-states.md"
STRAIGHT = (
    *("admit", "grant", "bind", "start configuration", "start algorithm", "start publishing", "staged"),
    *("warden proves", "algorithm succeeds", "publishing succeeds", "collect"),
)
MISHAPS = sorted(set(MOVES) - {"engine, some of it", "engine, shuffled and twice", "a second"})
GRACE_SECONDS = 45
"""After which the node has ended what is to be deleted, and before the engine gives it up."""

STEPS: dict[tuple[State, State], str] = {
    (State.WARMING_UP, State.CONFIGURING): "admitted: a place is free",
    (State.WARMING_UP, State.FINISHED): "stopped or deleted in the queue",
    (State.WARMING_UP, State.QUEUE_TIMEOUT): "no place in time",
    (State.WARMING_UP, State.INFRASTRUCTURE_LOST): "the environment is gone",
    (State.CONFIGURING, State.PROVISIONED): "inputs are staged",
    (State.CONFIGURING, State.PUBLISHING): "something ended it: logs and evidence are published",
    (State.CONFIGURING, State.FINISHED): "stopped or deleted before there were pods",
    (
        State.CONFIGURING,
        State.INFRASTRUCTURE_LOST,
    ): "no volume, grants or keys in time, or an end not confirmed",
    (State.PROVISIONED, State.RUNNING): "the algorithm may go",
    (State.RUNNING, State.PUBLISHING): "Kubernetes says that the algorithm has ended",
    (State.RUNNING, State.FINISHED): "deleted",
    (State.RUNNING, State.INFRASTRUCTURE_LOST): "an end not confirmed",
    (State.PUBLISHING, State.FINISHED): "results are stored",
    (State.PUBLISHING, State.DATA_FAILED): "inputs could not be had",
    (
        State.PUBLISHING,
        State.ALGORITHM_PROVISIONING_FAILED,
    ): "image or files of the algorithm could not be had",
    (State.PUBLISHING, State.ALGORITHM_FAILED): "exit code, signal",
    (State.PUBLISHING, State.LIMIT_EXCEEDED): "memory, disk, processes, log",
    (State.PUBLISHING, State.OUTPUTS_REFUSED): "one output may not leave",
    (State.PUBLISHING, State.NOT_ISOLATED): "the network was not proven closed",
    (State.PUBLISHING, State.PUBLISHING_FAILED): "the store refused, or took too long",
    (State.PUBLISHING, State.INFRASTRUCTURE_LOST): "the algorithm's pod vanished",
}
"""What leads from one state to the next."""


class Recorded(JobModel):
    """Remembers each change of state, and what there is of a job whenever its engine rests."""

    steps: set[tuple[State, State]] = set()  # noqa: RUF012 - shared by copies on purpose
    things: dict[State, set[str]] = {}  # noqa: RUF012

    def patch_status(self, changes: dict[str, Any]) -> None:
        before = State(self.workflow.status.code)
        super().patch_status(changes)
        after = State(self.workflow.status.code)
        if before is not after:
            self.steps.add((before, after))

    def run_engine(self, *arguments: Any) -> bool:
        busy = super().run_engine(*arguments)
        if not busy and self.body is not None:
            there = self.things.setdefault(State(self.workflow.status.code), set())
            there.update(f"{pod.component} pod" for pod in self.pods.values())
            there.update(["volume"] if self.claim else [])
        return busy


def ends_well(model: JobModel, follow: str) -> None:
    engine_until_quiet(model)
    if follow and model.body is not None:
        model.pass_time(GRACE_SECONDS)
        MOVES[follow](model, random.Random(0))
    everybody_does_their_duty(model)


@cache
def walked() -> type[Recorded]:
    """All that was seen on every way."""
    model = Recorded()
    engine_until_quiet(model)
    for move in (*STRAIGHT, "collect"):
        for mishap in MISHAPS:
            for follow in ("", "collect", "minutes"):
                other = copy.deepcopy(model)
                MOVES[mishap](other, random.Random(0))
                if other.body is not None:
                    ends_well(other, follow)
        if model.body is not None:
            MOVES[move](model, random.Random(0))
            engine_until_quiet(model)
    return Recorded


def test_the_steps_of_the_diagram_are_those_of_the_engine() -> None:
    seen = walked().steps
    assert {"not drawn": seen - STEPS.keys(), "never seen": STEPS.keys() - seen} == {
        "not drawn": set(),
        "never seen": set(),
    }


def test_nothing_leads_out_of_an_end() -> None:
    assert {before for before, _ in STEPS} & states.FINAL == set()
    assert {after for _, after in STEPS} >= states.FINAL


def test_the_page_is_up_to_date(request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--write-docs"):
        PAGE.write_text(page())
    assert PAGE.read_text() == page(), "job-states.md is old: write it again"


HEAD = """# States of a job

Written by `pytest tests/unit/operator_engine/test_state_diagram.py --write-docs`; do not edit. The test walks
the engine's rules, and fails where a step is drawn that they never take, or taken that is not drawn.

The state is the number in `WorkFlow.status.code`. An end never changes any more. Once there are pods a
failure passes through 60: what is left of logs and evidence is published first, and the end that was decided
before is the job's. It does not where Kubernetes cannot confirm that the algorithm has ended (81), or where
the WorkFlow is deleted.

"""


def page() -> str:
    lines = ["```mermaid", "stateDiagram-v2", "    [*] --> s1"]
    for state in State:
        if state in {each for step in STEPS for each in step}:
            lines.append(f"    s{state.value}: {_title(state)}")
    lines += [f"    s{a.value} --> s{b.value}: {text.replace(':', ',')}" for (a, b), text in STEPS.items()]
    lines += [f"    s{state.value} --> [*]" for state in sorted(states.FINAL)]
    lines += ["```", "", "| state | next | when |", "|---|---|---|"]
    lines += [f"| {_title(a)} | {_title(b)} | {text} |" for (a, b), text in STEPS.items()]
    lines += ["", "## What there is of a job", ""]
    lines += ["What can be seen besides the WorkFlow itself; in an end it is on its way out:", ""]
    lines += ["| state | seen |", "|---|---|"]
    order = ("volume", "configuration pod", "algorithm pod", "publishing pod")
    for state, there in sorted(walked().things.items()):
        shown = ", ".join(each for each in order if each in there) or "nothing"
        lines.append(f"| {_title(state)} | {shown} |")
    return HEAD + "\n".join(lines) + "\n"


def _title(state: State) -> str:
    return f"{state.value} {states.state_text(state).strip()}"
