"""Whatever happens to a job, in whatever order, however often the engine dies: it ends, is cleaned up
after, and its algorithm was started once at most and never judged while it ran.

Random lives here; all states that can be reached within some moves in test_plan_reachable.py. A last, fair
phase lets everybody do their duty and must reach the end from wherever it is.
"""

from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from c2d_box.operator_engine.rules.plan import plan_actions
from c2d_box.workflow import states
from tests.harness.job_model import (
    LIMITS,
    MAXTIME,
    MOVES,
    JobModel,
    check_model,
    engine_until_quiet,
    everybody_does_their_duty,
)

STRAIGHT = (
    "admit",
    "grant",
    "bind",
    "start configuration",
    "start algorithm",
    "start publishing",
    "staged",
    "warden proves",
    "algorithm succeeds",
    "publishing succeeds",
    "the asset's transaction is sent",
    "the asset is there",
    "collect",
)
MISHAPS = sorted(set(MOVES) - {"a second"})


@st.composite
def lives(draw: st.DrawFn) -> list[str]:
    """The straight way up to some point, with anything at all happening in between; the engine
    mostly awake.
    """
    moves: list[str] = []
    for step in STRAIGHT[: draw(st.integers(0, len(STRAIGHT)))]:
        moves += draw(st.lists(st.sampled_from(MISHAPS), max_size=2))
        moves.append(step)
        if draw(st.integers(0, 9)):
            moves += ["engine", "engine", "engine"]
    return moves + draw(st.lists(st.sampled_from(MISHAPS), max_size=8))


def live(moves: list[str], dice: random.Random) -> JobModel:
    """Every other one asks for its results to become an asset."""
    model = JobModel(asset=dice.random() < 0.5)
    for move in moves:
        if model.body is not None:
            MOVES[move](model, dice)
    return model


HARD = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@HARD
@given(lives(), st.randoms(use_true_random=False))
def test_every_job_ends_and_is_cleaned_up_after(moves: list[str], dice: random.Random) -> None:
    model = live(moves, dice)
    everybody_does_their_duty(model)
    check_model(model)
    assert not model.pods
    assert model.claim is None


@HARD
@given(lives(), st.randoms(use_true_random=False))
def test_every_job_ends_even_where_nobody_answers_any_more(moves: list[str], dice: random.Random) -> None:
    model = live(moves, dice)
    for _ in range(200):
        engine_until_quiet(model)
        if model.body is None or model.workflow.finished:
            break
        model.pass_time(61)
    check_model(model)


@HARD
@given(lives(), st.randoms(use_true_random=False))
def test_lost_and_repeated_work_of_the_engine_changes_nothing(moves: list[str], dice: random.Random) -> None:
    """Every engine step of a life is done by halves and by doubles; a crash follows each."""
    unsteady = {"engine": ("engine, some of it", "crash", "engine, shuffled and twice")}
    model = live([half for move in moves for half in unsteady.get(move, (move,))], dice)
    everybody_does_their_duty(model)
    check_model(model)


@HARD
@given(lives(), st.randoms(use_true_random=False))
def test_nothing_is_waited_for_without_a_deadline(moves: list[str], dice: random.Random) -> None:
    model = live(moves, dice)
    if model.body is not None and not model.workflow.finished:
        engine_until_quiet(model)
        actions = plan_actions(model.observe_job(), LIMITS, MAXTIME)
        assert actions, "nothing to do and nothing to wait for"


@pytest.mark.parametrize("asset", [False, True])
def test_the_straight_way_ends_well(asset: bool) -> None:
    model = JobModel(asset)
    everybody_does_their_duty(model)
    assert model.workflow.status.code == states.State.FINISHED
    assert (len(model.started), len(model.sent)) == (1, int(asset))
    assert (model.workflow.at("registered") is not None) == asset
