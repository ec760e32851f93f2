"""A job whose results become an asset: its last report is the register's, and nothing is sent unrecorded."""

from __future__ import annotations

from typing import Any

import pytest

from c2d_box.kubernetes.port import PODS
from c2d_box.operator_engine.effects.pod_builder import ManifestBuilder
from c2d_box.operator_engine.pod_api.register_relay import METHODS
from c2d_box.operator_engine.rules import stage_reports
from c2d_box.operator_engine.rules.stage_reports import GoAhead, PodAnswer
from c2d_box.workflow import manifests, names, resource
from c2d_box.workflow.resource import WorkFlow

from .conftest import workflow_body
from .test_a_job_from_start_to_end import JUDGED, RESULT, staged

JOB = "0" * 31 + "1"
ASSET = {"did": "did:op:" + "c" * 64, "nft": "0x" + "1" * 40, "datatoken": "0x" + "2" * 40}


def wishing(**publish: Any) -> list[dict[str, Any]]:
    stages: list[dict[str, Any]] = workflow_body(JOB)["spec"]["stages"]
    return [{**stages[0], "output": {"publish": publish}}]


async def stored(stack: Any) -> None:
    """Up to the moment when the results are in the store."""
    await staged(stack)
    await stack.node.end(names.pod_name(JOB, "algorithm"), warden=0, algorithm=0)
    assert isinstance(await stack.pod_reports.await_go_ahead(JOB, 2.0), GoAhead)
    judged = {"manifest": manifests.manifest_digest([JUDGED])}
    assert (await stack.pod_reports.take_report(JOB, "judge", judged)).status == 200
    assert (await stack.pod_reports.take_report(JOB, "upload", {"results": [RESULT]})).status == 200


@pytest.fixture
def wishful(stack: Any) -> Any:
    submit = stack.submit
    stack.submit = lambda job, **spec: submit(job, stages=wishing(name="mine"), **spec)
    (stack.settings.secrets_dir / "register-key").write_text("0x" + "3" * 64)
    return stack


async def test_the_job_ends_only_when_the_asset_is_there(wishful: Any) -> None:
    await stored(wishful)
    assert not wishful.node.workflow(JOB).finished
    assert isinstance(await wishful.pod_reports.await_upload(JOB, 0.1), WorkFlow)
    assert (await wishful.pod_reports.take_report(JOB, "register", ASSET)).status == 200
    workflow = wishful.node.workflow(JOB)
    assert (workflow.status.code, workflow.status.asset) == (70, ASSET)
    assert workflow.at("registered") is not None


async def test_results_stay_where_the_asset_could_not_be_made(wishful: Any) -> None:
    await stored(wishful)
    await wishful.pod_reports.take_report(JOB, "register", {"failed": "no coins"})
    workflow = wishful.node.workflow(JOB)
    assert workflow.status.code == 79
    assert "no coins" in workflow.status.reason
    assert len(workflow.status.results or ()) == 1


async def test_a_job_that_does_not_ask_is_over_with_its_results(stack: Any) -> None:
    await stored(stack)
    assert stack.node.workflow(JOB).finished
    assert await stack.pod_reports.await_upload(JOB, 0.1) == PodAnswer(410, "the job is over")


async def test_a_second_upload_changes_nothing(wishful: Any) -> None:
    await stored(wishful)
    before = wishful.node.workflow(JOB).status
    other = {**RESULT, "url": "ipfs://other/x"}
    assert (await wishful.pod_reports.take_report(JOB, "upload", {"results": [other]})).status == 200
    assert wishful.node.workflow(JOB).status == before


async def test_a_transaction_is_on_record_once(wishful: Any) -> None:
    await stored(wishful)

    def intent(job: str, step: str, raw: str, replaces: str | None) -> Any:
        return wishful.pod_reports.update_status(
            job, lambda seen: stage_reports.take_intent(seen, step, raw, replaces)
        )

    assert (await intent(JOB, "create", "0:0xaa", None)).status == 200
    assert (await intent(JOB, "create", "0:0xaa", None)).status == 200
    assert (await intent(JOB, "create", "1:0xbb", None)).status == 409
    assert (await intent(JOB, "create", "1:0xbb", "0:0xaa")).status == 200
    assert wishful.node.workflow(JOB).status.asset == {"transactions": {"create": "1:0xbb"}}


async def test_only_the_registers_container_sees_the_key(wishful: Any) -> None:
    await staged(wishful)
    pod = await wishful.cluster.get(PODS, names.pod_name(JOB, "publishing"))
    containers = {entry["name"]: entry for entry in pod["spec"]["containers"]}
    assert set(containers) == {"judge", "upload", "register"}
    keys = {
        volume["name"]: {item["key"] for item in volume["secret"]["items"]}
        for volume in pod["spec"]["volumes"]
        if "secret" in volume
    }
    assert [name for name, found in keys.items() if "register-key" in found] == ["register"]
    mounted = {name: {mount["name"] for mount in entry["volumeMounts"]} for name, entry in containers.items()}
    assert mounted["register"] == {"register"}
    assert "register" not in mounted["judge"] | mounted["upload"]


def test_without_a_wish_there_is_no_such_container(stack: Any) -> None:
    workflow = resource.parse_workflow(workflow_body(JOB))
    environment = stack.settings.environments[0]
    pod = ManifestBuilder(stack.settings, "gate").stage_pod(workflow, environment, "publishing", 1, "s")
    assert [entry["name"] for entry in pod["spec"]["containers"]] == ["judge", "upload"]


def test_nothing_is_registered_before_it_is_stored() -> None:
    workflow = resource.parse_workflow(workflow_body(JOB))
    assert stage_reports.take_registration(workflow, stage_reports.RegisterReport(**ASSET), 1.0).status == 409
    assert stage_reports.take_intent(workflow, "create", "0:0xaa", None).status == 409


def test_the_relay_reads_and_sends_and_does_nothing_else() -> None:
    assert not {method for method in METHODS if not method.startswith("eth_")}
    assert not METHODS & {"eth_sendTransaction", "eth_sign", "eth_accounts", "eth_getLogs"}
