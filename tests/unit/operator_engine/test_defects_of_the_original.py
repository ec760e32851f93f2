"""Defects the original engine had, each as the behaviour that replaced it; the list is docs/defects.md."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from c2d_box import timestamps
from c2d_box.operator_engine.effects.algorithm_variables import ocean_variables
from c2d_box.operator_engine.effects.pod_builder import ManifestBuilder
from c2d_box.operator_engine.rules.actions import DeletePod, DeleteWorkflow, PatchStatus
from c2d_box.operator_engine.rules.limits import StageLimits
from c2d_box.operator_engine.rules.observation import Observation, ObservedContainer, ObservedPod, Termination
from c2d_box.operator_engine.rules.plan import plan_actions
from c2d_box.workflow import names, resource
from c2d_box.workflow.environments import Environment, ImagePolicy
from c2d_box.workflow.resource import WorkFlow
from c2d_box.workflow.states import State
from tests.unit.operator_engine.conftest import make_settings, workflow_body

JOB = "0" * 31 + "1"
LIMITS = StageLimits(image=100)
NOW = 1_000_000.0


def job(times: Mapping[str, float], **spec: Any) -> WorkFlow:
    """A workflow that has got as far as its moments say."""
    body = workflow_body(JOB, accepted=NOW, **spec)
    body["metadata"]["finalizers"] = ["oceanprotocol.com/cleanup"]
    code = State.RUNNING if "staged" in times else State.CONFIGURING if "admitted" in times else 1
    uid = {"algorithm": {"uid": "u"}} if "created" in times else {}
    moments = {name: timestamps.rfc3339_text(value) for name, value in {"accepted": NOW, **times}.items()}
    body["status"] = {"code": int(code), "times": moments, **uid}
    return resource.parse_workflow(body)


RUNNING = {"admitted": NOW, "bound": NOW, "created": NOW, "staged": NOW + 1}


def pods(algorithm: ObservedContainer, warden: ObservedContainer | None = None) -> tuple[ObservedPod, ...]:
    first = ObservedPod(f"{JOB}-configuration", "1", "configuration", "Succeeded")
    held = {"algorithm": algorithm, "warden": warden or ObservedContainer(end=Termination(0))}
    third = ObservedPod(f"{JOB}-publishing", "3", "publishing", "Running")
    return first, ObservedPod(f"{JOB}-algorithm", "u", "algorithm", "Running", containers=held), third


def outcome(found: list[Any]) -> dict[str, Any] | None:
    for action in found:
        if isinstance(action, PatchStatus) and "outcome" in action.changes:
            value: dict[str, Any] = action.changes["outcome"]
            return value
    return None


def test_pulling_an_image_does_not_eat_the_time_to_run() -> None:
    """The container came up 80 s after staging; with 30 s to run it may run until second 110."""
    workflow = job(RUNNING)
    up = ObservedContainer(running=True, since=NOW + 81)
    before = plan_actions(Observation(workflow, NOW + 110, pods(up), "Bound", grants=True), LIMITS, 30)
    after = plan_actions(Observation(workflow, NOW + 112, pods(up), "Bound", grants=True), LIMITS, 30)
    assert outcome(before) is None
    assert (outcome(after) or {}).get("code") == State.FINISHED
    waiting = ObservedContainer(waiting="ContainerCreating")
    late = plan_actions(Observation(workflow, NOW + 102, pods(waiting), "Bound", grants=True), LIMITS, 30)
    assert (outcome(late) or {}).get("code") == State.INFRASTRUCTURE_LOST


STAGES: dict[str, tuple[dict[str, float], tuple[ObservedPod, ...], str | None]] = {
    "queued": ({}, (), None),
    "while the volume is made": ({"admitted": NOW}, (), "Pending"),
    "while inputs are staged": (
        {"admitted": NOW, "bound": NOW, "created": NOW},
        pods(ObservedContainer()),
        "Bound",
    ),
    "while the algorithm runs": (RUNNING, pods(ObservedContainer(running=True, since=NOW + 1)), "Bound"),
}


@pytest.mark.parametrize("stage", sorted(STAGES))
def test_a_stop_is_heard_at_every_stage(stage: str) -> None:
    times, present, claim = STAGES[stage]
    workflow = job(times, stop=True)
    found = plan_actions(
        Observation(workflow, NOW + 2, present, claim, grants=True, may_start=True), LIMITS, 600
    )
    recorded = [action.changes for action in found if isinstance(action, PatchStatus)]
    assert any(
        (changes.get("outcome") or changes).get("stop") == 1 or changes.get("stop") == 1
        for changes in recorded
    ), recorded
    assert not any(type(action).__name__.startswith("Create") for action in found)


def test_a_configuration_pod_that_crashes_ends_the_job_with_a_failure() -> None:
    """After its attempts, and with a number that says so: never 20 with an end date."""
    workflow = job({"admitted": NOW, "bound": NOW, "created": NOW})
    crashed = ObservedPod(
        f"{JOB}-configuration",
        "1",
        "configuration",
        "Failed",
        containers={"configuration": ObservedContainer(end=Termination(1))},
    )
    held = {"algorithm": ObservedContainer(running=True), "warden": ObservedContainer(running=True)}
    rest = (
        ObservedPod(f"{JOB}-algorithm", "u", "algorithm", "Running", containers=held),
        ObservedPod(f"{JOB}-publishing", "3", "publishing", "Running"),
    )
    found = plan_actions(Observation(workflow, NOW + 5, (crashed, *rest), "Bound", grants=True), LIMITS, 600)
    assert any(isinstance(action, DeletePod) and action.name.endswith("configuration") for action in found), (
        "tried again"
    )
    body = {**workflow_body(JOB, accepted=NOW), "status": {"attempts": {"configuration": 3}}}
    last = resource.parse_workflow(body).status.attempts
    tired = workflow.model_copy(update={"status": workflow.status.model_copy(update={"attempts": last})})
    third = replace(crashed, name=names.pod_name(JOB, "configuration", 3))
    found = plan_actions(Observation(tired, NOW + 5, (third, *rest), "Bound", grants=True), LIMITS, 600)
    assert (outcome(found) or {}).get("code") == State.INFRASTRUCTURE_LOST
    assert "exit code 1" in str((outcome(found) or {}).get("reason"))


def raw_job() -> WorkFlow:
    """As the original's Provider sends a raw algorithm: no custom data, an empty id or none at all."""
    body = workflow_body(JOB)
    algorithm = body["spec"]["stages"][0]["algorithm"]
    del algorithm["id"]
    algorithm["rawcode"] = "print(1)"
    return resource.parse_workflow(body)


def test_an_algorithm_without_an_id_is_a_job_like_any_other() -> None:
    variables = ocean_variables(raw_job(), "s")
    assert variables["TRANSFORMATION_DID"] == ""
    environment = make_settings().environments[0]
    pod = ManifestBuilder(make_settings(), "gate").stage_pod(raw_job(), environment, "algorithm", 1, "s")
    assert pod["metadata"]["name"] == f"{JOB}-algorithm"


def test_a_gpu_that_is_announced_is_asked_for() -> None:
    environment = Environment(id="gpu", gpu_number=2, gpu_type="nvidia")
    pod = ManifestBuilder(make_settings(), "gate").stage_pod(raw_job(), environment, "algorithm", 1, "s")
    warden, algorithm = pod["spec"]["containers"]
    assert algorithm["resources"]["limits"]["nvidia.com/gpu"] == "2"
    assert "nvidia.com/gpu" not in warden["resources"]["limits"]
    plain = ManifestBuilder(make_settings(), "gate").stage_pod(
        raw_job(), make_settings().environments[0], "algorithm", 1, "s"
    )
    assert "nvidia.com/gpu" not in plain["spec"]["containers"][1]["resources"]["limits"]


def test_nodes_and_registries_of_an_environment_are_its_operators() -> None:
    """The original's NODE_SELECTOR and PULL_SECRET: for pods, and for nobody's eyes."""
    images = ImagePolicy(pull_secrets=("registry",))
    environment = Environment(id="x", node_selector={"scope": "gpu"}, images=images)
    for component in ("configuration", "algorithm", "publishing"):
        spec = ManifestBuilder(make_settings(), "gate").stage_pod(raw_job(), environment, component, 1, "s")[
            "spec"
        ]
        assert spec["nodeSelector"] == {"scope": "gpu"}
        assert spec.get("imagePullSecrets") == ([{"name": "registry"}] if component == "algorithm" else None)
    announced = json.dumps(environment.announced(current_jobs=0, last_seen=0))
    assert "scope" not in announced
    assert "registry" not in announced


def test_limits_are_of_the_environment_for_every_container_of_a_job() -> None:
    environment = Environment(id="x", cpu_number=2, ramGB=3)
    bodies = ManifestBuilder(make_settings(), "gate")
    for component in ("configuration", "algorithm", "publishing"):
        pod = bodies.stage_pod(raw_job(), environment, component, 1, "s")
        for container in pod["spec"]["containers"]:
            assert {"cpu", "memory"} <= set(container["resources"]["limits"]), container["name"]
    algorithm = bodies.stage_pod(raw_job(), environment, "algorithm", 1, "s")["spec"]["containers"][1]
    assert algorithm["resources"]["limits"]["cpu"] == "2000m"
    assert algorithm["resources"]["limits"]["memory"] == str(3 << 30)


def test_no_pod_of_a_job_starts_twice_by_itself_or_pulls_what_is_there() -> None:
    bodies = ManifestBuilder(make_settings(), "gate")
    for component in ("configuration", "algorithm", "publishing"):
        spec = bodies.stage_pod(raw_job(), make_settings().environments[0], component, 1, "s")["spec"]
        assert spec["restartPolicy"] == "Never"
        assert spec["activeDeadlineSeconds"] > 0
        assert {container["imagePullPolicy"] for container in spec["containers"]} == {"Never"}


async def test_the_time_that_was_paid_for_is_the_time_it_may_run(stack: Any) -> None:
    """``maxtime`` comes from ``validUntil``; the environment's limit caps it."""
    for asked, given in ((5, 5.0), (10**6, 60.0), (None, 60.0)):
        spec = {} if asked is None else {"maxtime": asked}
        workflow = resource.parse_workflow(workflow_body(JOB, accepted=time.time(), **spec))
        assert stack.controller._observer.time_limit(workflow) == given


def test_a_finished_workflow_goes_when_its_time_has_come() -> None:
    """``retention`` in seconds, like every other duration."""
    over = job({**RUNNING, "ended": NOW + 2, "finished": NOW + 3, "cleaned": NOW + 4})
    body = over.status.model_copy(update={"code": int(State.FINISHED)})
    workflow = over.model_copy(update={"status": body})
    early = plan_actions(Observation(workflow, NOW + 2 + LIMITS.retention), LIMITS, 60)
    late = plan_actions(Observation(workflow, NOW + 4 + LIMITS.retention), LIMITS, 60)
    assert not any(isinstance(action, DeleteWorkflow) for action in early)
    assert any(isinstance(action, DeleteWorkflow) for action in late)
