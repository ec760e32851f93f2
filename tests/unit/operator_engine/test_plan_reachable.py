"""From every state that a job can get into there is a way out, and only one end that its past allows.

The states are found by breadth: every move from every state, as far as the limit goes, with moments reduced
to whether they exist. Unlike random lives this forgets no corner that is near.
"""

from __future__ import annotations

import copy
import random
from collections import deque
from typing import Any

import pytest

from c2d_box.operator_engine.rules.plan import plan_actions
from c2d_box.workflow import states
from tests.conftest import sample_cells
from tests.harness.job_model import (
    LIMITS,
    MAXTIME,
    MOVES,
    JobModel,
    check_model,
    engine_until_quiet,
    everybody_does_their_duty,
)

SYSTEMATIC = sorted(set(MOVES) - {"engine, some of it", "engine, shuffled and twice", "a second"})
STATES, FULL = 800, 20_000


def key(model: JobModel) -> str:
    """What of a state matters to a rule, but for how long ago things were."""
    if model.body is None:
        return "gone"
    status: dict[str, Any] = dict(model.body.get("status") or {})
    times = sorted(status.pop("times", {}))
    for word in ("reason", "conditions", "text"):
        status.pop(word, None)
    status["outcome"] = (status.get("outcome") or {}).get("code")
    pods = sorted(
        (pod.component, pod.name, pod.phase, pod.deleted is not None, pod.uid == model.marker, repr(ends))
        for pod in model.pods.values()
        for ends in [{name: (c.running, c.waiting, c.end) for name, c in pod.containers.items()}]
    )
    flags = (model.claim, model.claim_deleted, model.grants, model.room, bool(model.marker), model.refusal)
    spec = (model.body["spec"].get("stop"), "deletionTimestamp" in model.metadata)
    return repr(
        (status, times, pods, flags, spec, sorted(model.done), len(model.started), sorted(model.sent))
    )


def stored() -> JobModel:
    """The way to the results' being stored, where they are to become an asset, and not a step further."""
    model = JobModel(asset=True)
    steps = ("admit", "grant", "bind", "start configuration", "start algorithm", "start publishing", "staged")
    for move in (*steps, "warden proves", "algorithm succeeds", "publishing succeeds"):
        engine_until_quiet(model)
        MOVES[move](model, random.Random(0))
    assert model.workflow.at("uploaded") is not None
    return model


def reachable(limit: int, first: JobModel | None = None) -> list[JobModel]:
    """The first ``limit`` different states, nearest first."""
    first = first or JobModel()
    seen, found, waiting = {key(first)}, [first], deque([first])
    while waiting and len(found) < limit:
        model = waiting.popleft()
        for move in SYSTEMATIC:
            following = copy.deepcopy(model)
            if following.body is None:
                continue
            MOVES[move](following, random.Random(0))
            if (mark := key(following)) not in seen:
                seen.add(mark)
                found.append(following)
                waiting.append(following)
    return found[:limit]


def test_every_reachable_state_has_a_way_out(seed: str, request: pytest.FixtureRequest) -> None:
    full = bool(request.config.getoption("--full"))
    found = reachable(FULL if full else STATES)
    assert len(found) == (FULL if full else STATES)
    ends = set()
    for model in sample_cells(found, 200, seed, full):
        there = key(model)
        everybody_does_their_duty(model)
        check_model(model)
        if model.body is not None:
            assert not model.pods, there
            assert model.claim is None, there
            ends.add(model.workflow.status.code)
    assert ends <= states.FINAL


def test_from_stored_results_to_an_asset_there_is_a_way_out_too(
    seed: str, request: pytest.FixtureRequest
) -> None:
    full = bool(request.config.getoption("--full"))
    for model in sample_cells(reachable(FULL // 4 if full else STATES // 2, stored()), 100, seed, full):
        everybody_does_their_duty(model)
        check_model(model)


def test_in_every_reachable_state_something_is_done_or_waited_for() -> None:
    for model in reachable(300):
        engine_until_quiet(model)
        if model.body is not None and model.workflow.at("cleaned") is None:
            assert plan_actions(model.observe_job(), LIMITS, MAXTIME), key(model)
