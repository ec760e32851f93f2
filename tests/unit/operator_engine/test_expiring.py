"""When results leave the store: not before their time, not an asset's, with their job, and once."""

from __future__ import annotations

from typing import Any

import pytest

from c2d_box.operator_engine.rules.actions import DeleteResults, DeleteWorkflow, RemoveFinalizer, RequeueAt
from c2d_box.operator_engine.rules.plan import plan_actions
from c2d_box.workflow import ocean_status
from tests.harness.job_model import LIMITS, MAXTIME, JobModel, engine_until_quiet, everybody_does_their_duty


@pytest.fixture
def over() -> JobModel:
    model = JobModel()
    everybody_does_their_duty(model)
    assert model.workflow.status.results
    return model


def planned(model: JobModel, **limits: Any) -> list[type]:
    return [
        type(action)
        for action in plan_actions(model.observe_job(), LIMITS.model_copy(update=limits), MAXTIME)
    ]


def test_they_go_when_their_time_has_come_and_the_job_later(over: JobModel) -> None:
    assert planned(over) == [RequeueAt]
    over.pass_time(LIMITS.storage + 1)
    assert planned(over) == [DeleteResults]
    engine_until_quiet(over)
    status = ocean_status.owner_status(over.workflow)
    assert (status["results"], status["removed"], status["status"]) == ("", 1, 70)
    assert over.workflow.at("expired") is not None
    assert planned(over) == [RequeueAt]
    over.pass_time(LIMITS.retention)
    assert planned(over) == [DeleteWorkflow]


def test_a_job_is_kept_for_as_long_as_its_results(over: JobModel) -> None:
    """Nobody else would know of them."""
    over.pass_time(200)
    assert planned(over, retention=100) == [RequeueAt]


def test_who_deletes_a_job_means_its_results_too(over: JobModel) -> None:
    over.remove_workflow()
    assert planned(over) == [DeleteResults, RequeueAt]
    over.pass_time(LIMITS.kill + 1)
    assert planned(over) == [RemoveFinalizer], "a store that does not answer holds nobody up for ever"


@pytest.mark.parametrize("deleted", [False, True])
def test_without_an_expiry_they_stay(over: JobModel, deleted: bool) -> None:
    over.pass_time(LIMITS.retention + 1)
    if deleted:
        over.remove_workflow()
    assert planned(over, storage=0) == ([RemoveFinalizer] if deleted else [DeleteWorkflow])


def test_an_assets_files_stay() -> None:
    model = JobModel(asset=True)
    everybody_does_their_duty(model)
    model.pass_time(LIMITS.storage + 1)
    assert planned(model) == [RequeueAt]
