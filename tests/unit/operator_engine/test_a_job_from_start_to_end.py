"""One job through the whole controller: every stage by the events that really drive it."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from c2d_box import timestamps
from c2d_box.kubernetes.port import CLAIMS, PODS, SECRETS
from c2d_box.operator_engine.rules.actions import PatchStatus
from c2d_box.operator_engine.rules.observation import Observation
from c2d_box.operator_engine.rules.plan import plan_actions
from c2d_box.operator_engine.rules.stage_reports import GoAhead
from c2d_box.workflow import manifests, names, resource
from c2d_box.workflow.resource import WORKFLOWS
from tests.unit.operator_engine.conftest import make_settings, workflow_body

JOB = "0" * 31 + "1"
RESULT = {
    "filename": "metrics.json",
    "filesize": 3,
    "type": "output",
    "url": f"ipfs://b{'a' * 58}/outputs/metrics.json",
    "cid": "bafy1",
    "sha256": "0" * 64,
}
JUDGED = {"filename": "metrics.json", "type": "output", "size": 3, "sha256": "0" * 64}


async def staged(stack: Any, job: str = JOB) -> None:
    """Up to the moment when the algorithm runs."""
    await stack.submit(job)
    await stack.node.bind(job)
    await stack.node.start(names.pod_name(job, "configuration"), "configuration")
    await stack.node.start(names.pod_name(job, "algorithm"), "warden", "algorithm")
    await stack.node.start(names.pod_name(job, "publishing"), "judge", "upload")
    await stack.node.until(lambda: stack.node.workflow(job).status.algorithm.uid is not None)
    answer = await stack.pod_reports.take_report(job, "configuration", {"status": 30})
    assert answer.status == 200
    await stack.node.end(names.pod_name(job, "configuration"), configuration=0)


async def published(stack: Any, job: str = JOB, refused: list[dict[str, str]] | None = None) -> None:
    assert isinstance(await stack.pod_reports.await_go_ahead(job, 2.0), GoAhead)
    manifest = manifests.manifest_digest([] if refused else [JUDGED])
    report = {"refused": refused or [], "manifest": manifest}
    judged = await stack.pod_reports.take_report(job, "judge", report)
    assert judged.status == 200
    stored = await stack.pod_reports.take_report(job, "upload", {"results": [] if refused else [RESULT]})
    assert stored.status == 200


async def cleaned(stack: Any, job: str = JOB) -> None:
    for _ in range(50):
        await asyncio.sleep(0.005)
        await stack.controller.wait_idle()
        await stack.node.collect()
        if stack.node.workflow(job).at("cleaned") is not None:
            return
    raise AssertionError("never cleaned")


async def test_a_job_ends_with_its_results_and_leaves_nothing(stack: Any) -> None:
    await staged(stack)
    await stack.node.end(names.pod_name(JOB, "algorithm"), warden=0, algorithm=0)
    await published(stack)
    workflow = stack.node.workflow(JOB)
    assert (workflow.status.code, workflow.status.text, workflow.status.phase) == (
        70,
        "Job finished",
        "Finished",
    )
    assert workflow.status.results is not None
    assert workflow.status.results[0].url == RESULT["url"]
    await cleaned(stack)
    assert stack.cluster.names(PODS) == stack.cluster.names(CLAIMS) == stack.cluster.names(SECRETS) == ()


async def test_the_row_shows_every_state_on_the_way(stack: Any) -> None:
    await staged(stack)
    await stack.node.until(lambda: stack.node.workflow(JOB).status.code == 40)
    await stack.node.end(names.pod_name(JOB, "algorithm"), warden=0, algorithm=0)
    await published(stack)
    codes = list(dict.fromkeys(workflow.status.code for workflow in stack.rows.written))
    assert codes == [1, 20, 30, 40, 60, 70]


async def test_the_times_of_all_stages_are_kept_in_order(stack: Any) -> None:
    await staged(stack)
    await stack.node.end(names.pod_name(JOB, "algorithm"), warden=0, algorithm=0)
    await published(stack)
    workflow = stack.node.workflow(JOB)
    moments = [
        "accepted",
        "admitted",
        "bound",
        "created",
        "staged",
        "ended",
        "judged",
        "uploaded",
        "finished",
    ]
    times = [workflow.at(moment) for moment in moments]
    assert None not in times
    assert times == sorted(times)


@pytest.mark.parametrize(
    ("code", "reason", "expected"),
    [
        (3, "Error", 75),
        (137, "OOMKilled", 76),
        (122, "Error", 76),
        (123, "Error", 76),
        (139, "Error", 75),
        (255, "Unknown", 81),
    ],
)
async def test_how_the_algorithm_ended_is_the_jobs_end(
    stack: Any, code: int, reason: str, expected: int
) -> None:
    await staged(stack)
    await stack.node._write_status(
        names.pod_name(JOB, "algorithm"),
        "Failed",
        {
            "warden": {"terminated": {"exitCode": 0, "reason": "Completed"}},
            "algorithm": {"terminated": {"exitCode": code, "reason": reason}},
        },
    )
    await published(stack)
    assert stack.node.workflow(JOB).status.code == expected
    assert stack.node.workflow(JOB).status.algorithm.exit_code == code


@pytest.mark.parametrize(
    ("code", "reason", "expected"),
    [
        (0, "Completed", GoAhead(outputs=True, logs=True)),
        (3, "Error", GoAhead(outputs=True, logs=True, failed=True)),
        (137, "OOMKilled", GoAhead(outputs=False, logs=True)),
        (122, "Error", GoAhead(outputs=False, logs=True)),
    ],
)
async def test_what_a_limit_ended_is_no_result(stack: Any, code: int, reason: str, expected: GoAhead) -> None:
    await staged(stack)
    states = {
        "warden": {"terminated": {"exitCode": 0, "reason": "Completed"}},
        "algorithm": {"terminated": {"exitCode": code, "reason": reason}},
    }
    await stack.node._write_status(names.pod_name(JOB, "algorithm"), "Failed", states)
    assert await stack.pod_reports.await_go_ahead(JOB, 2.0) == expected


@pytest.mark.parametrize("unstarted", ["algorithm", "warden"])
async def test_a_container_that_the_node_cannot_start_is_no_fault_of_the_algorithm(
    stack: Any, unstarted: str
) -> None:
    """With the runtime's words in the reason, as who looks after the node needs them."""
    await staged(stack)
    ended: dict[str, Any] = {"terminated": {"exitCode": 0, "reason": "Completed"}}
    states = {"warden": ended, "algorithm": ended}
    states[unstarted] = {"terminated": {"exitCode": 128, "reason": "StartError", "message": "no such file"}}
    await stack.node._write_status(names.pod_name(JOB, "algorithm"), "Failed", states)
    await published(stack)
    status = stack.node.workflow(JOB).status
    assert status.code == 81
    assert f"{unstarted}: exit code 128, StartError: no such file" in status.reason


async def test_an_open_network_ends_the_job_before_the_algorithm(stack: Any) -> None:
    await stack.submit(JOB)
    await stack.node.bind(JOB)
    await stack.node.start(names.pod_name(JOB, "algorithm"), "warden", "algorithm")
    await stack.node.until(lambda: stack.node.workflow(JOB).status.algorithm.uid is not None)
    running: dict[str, Any] = {"running": {}}
    ended = {"terminated": {"exitCode": 10, "reason": "Error"}}
    await stack.node._write_status(
        names.pod_name(JOB, "algorithm"), "Running", {"warden": ended, "algorithm": running}
    )
    await stack.node.until(lambda: stack.node.workflow(JOB).status.outcome is not None)
    await stack.controller.wait_idle()
    await stack.node.collect()
    await published(stack)
    assert stack.node.workflow(JOB).status.code == 78


async def test_failed_inputs_end_the_job_and_name_the_cause(stack: Any) -> None:
    await stack.submit(JOB)
    await stack.node.bind(JOB)
    await stack.node.start(names.pod_name(JOB, "algorithm"), "warden", "algorithm")
    answer = await stack.pod_reports.take_report(
        JOB, "configuration", {"status": 31, "reason": "dataset x, file 0: 403."}
    )
    assert answer.status == 200
    await stack.controller.wait_idle()
    await stack.node.collect()
    mandate = await stack.pod_reports.await_go_ahead(JOB, 2.0)
    assert mandate == GoAhead(outputs=False, logs=True)
    await published(stack)
    workflow = stack.node.workflow(JOB)
    assert (workflow.status.code, workflow.status.reason) == (31, "dataset x, file 0: 403.")


async def test_refused_outputs_are_named(stack: Any) -> None:
    await staged(stack)
    await stack.node.end(names.pod_name(JOB, "algorithm"), warden=0, algorithm=0)
    await published(stack, refused=[{"path": "outputs/x", "reason": "a symbolic link"}])
    workflow = stack.node.workflow(JOB)
    assert workflow.status.code == 77
    assert "a symbolic link" in (workflow.status.reason or "")


async def test_a_stopped_job_publishes_what_there_is(stack: Any) -> None:
    await staged(stack)
    await stack.cluster.patch(WORKFLOWS, JOB, {"spec": {"stop": True}})
    await stack.node.until(lambda: stack.node.workflow(JOB).status.outcome is not None)
    await stack.controller.wait_idle()
    await stack.node.collect()
    await published(stack)
    workflow = stack.node.workflow(JOB)
    assert (workflow.status.code, workflow.status.stop) == (70, 1)
    assert workflow.status.results


async def test_the_go_ahead_waits_for_kubernetes(stack: Any) -> None:
    await staged(stack)
    answer = await stack.pod_reports.await_go_ahead(JOB, 0.05)
    assert getattr(answer, "status", None) == 204
    early = await stack.pod_reports.take_report(JOB, "judge", {"refused": []})
    assert early.status == 409


async def test_an_engine_killed_at_any_point_takes_up_where_it_was(stack: Any) -> None:
    await stack.submit(JOB)
    await stack.crash()
    await stack.node.bind(JOB)
    await stack.crash()
    await stack.node.start(names.pod_name(JOB, "algorithm"), "warden", "algorithm")
    await stack.node.until(lambda: stack.node.workflow(JOB).status.algorithm.uid is not None)
    await stack.crash()
    assert (await stack.pod_reports.take_report(JOB, "configuration", {"status": 30})).status == 200
    await stack.crash()
    await stack.node.end(names.pod_name(JOB, "algorithm"), warden=0, algorithm=0)
    await stack.crash()
    await published(stack)
    await stack.crash()
    await cleaned(stack)
    assert stack.node.workflow(JOB).status.code == 70
    created = [name for verb, plural, name in stack.cluster.calls if verb == "create" and plural == "pods"]
    assert created.count(names.pod_name(JOB, "algorithm")) >= 1


async def test_a_vanished_algorithm_is_not_started_again(stack: Any) -> None:
    await staged(stack)
    await stack.cluster.vanish(PODS, names.pod_name(JOB, "algorithm"))
    await stack.node.until(lambda: stack.node.workflow(JOB).at("ended") is not None)
    await stack.controller.wait_idle()
    assert names.pod_name(JOB, "algorithm") not in stack.cluster.names(PODS)
    assert await stack.pod_reports.await_go_ahead(JOB, 1.0) == GoAhead(outputs=False, logs=False)
    await published(stack)
    assert stack.node.workflow(JOB).status.code == 81


async def test_a_deleted_workflow_cleans_up_after_itself(stack: Any) -> None:
    await staged(stack)
    await stack.cluster.delete(WORKFLOWS, JOB)
    await stack.node.until(lambda: stack.node.workflow(JOB).finished)
    for _ in range(50):
        await asyncio.sleep(0.005)
        await stack.controller.wait_idle()
        await stack.node.collect()
        if JOB not in stack.cluster.names(WORKFLOWS):
            break
    assert stack.cluster.names(WORKFLOWS) == stack.cluster.names(PODS) == stack.cluster.names(CLAIMS) == ()


async def test_no_more_jobs_are_admitted_than_there_are_places(stack: Any) -> None:
    jobs = [f"{number:032d}" for number in range(4)]
    for job in jobs:
        await stack.submit(job)
    await stack.node.until(lambda: len(stack.cluster.names(CLAIMS)) == 2)
    await stack.controller.wait_idle()
    assert set(stack.cluster.names(CLAIMS)) == {names.claim_name(job) for job in jobs[:2]}
    await stack.cluster.patch(WORKFLOWS, jobs[0], {"spec": {"stop": True}})
    await stack.node.until(lambda: stack.node.workflow(jobs[0]).finished)
    await cleaned(stack, jobs[0])
    await stack.node.until(lambda: names.claim_name(jobs[2]) in stack.cluster.names(CLAIMS))


async def test_no_credential_of_the_store_is_where_the_judge_can_see_it(stack: Any) -> None:
    await staged(stack)
    pod = await stack.cluster.get(PODS, names.pod_name(JOB, "publishing"))
    assert pod is not None
    volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
    judge = next(entry for entry in pod["spec"]["containers"] if entry["name"] == "judge")
    keys = [
        item["key"]
        for mount in judge["volumeMounts"]
        for item in volumes[mount["name"]].get("secret", {}).get("items", [])
    ]
    assert keys == ["judge-token"]
    assert "kubo-token" not in json.dumps(pod)


def test_what_came_late_but_is_there_is_used() -> None:
    """An engine that stood still looks again after the deadline: nothing is missing, nothing failed."""
    body = workflow_body(JOB)
    body["status"] = {"code": 10, "text": "", "times": {"admitted": timestamps.rfc3339_text(1000.0)}}
    body["metadata"]["finalizers"] = [names.FINALIZER]
    limits = make_settings().limits
    seen = Observation(
        workflow=resource.parse_workflow(body),
        now=1000.0 + limits.binding + 1,
        claim="Bound",
        grants=True,
        done=frozenset({"secret"}),
    )
    (action,) = plan_actions(seen, limits, 60.0)
    assert isinstance(action, PatchStatus) and set(action.changes["times"]) == {"bound", "created"}
    (action,) = plan_actions(replace(seen, grants=False), limits, 60.0)
    assert isinstance(action, PatchStatus) and action.changes["code"] == 81
    assert "grants" in action.changes["reason"]
