"""The contract of the store of workflows: an adapter's tests import it and have a fixture ``cluster``."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator

import pytest

from c2d_box.kubernetes.informer import Informer
from c2d_box.kubernetes.port import (
    SECRETS,
    AlreadyExists,
    Cluster,
    ClusterError,
    Object,
    ObjectGone,
    VersionConflict,
)
from c2d_box.workflow import resource
from c2d_box.workflow.resource import WORKFLOWS

__all__ = [
    "test_a_finalizer_holds_what_is_deleted",
    "test_a_json_patch_is_applied_as_a_whole_or_not_at_all",
    "test_a_patch_of_another_version_is_refused",
    "test_an_informer_follows",
    "test_another_object_of_that_name_is_left_alone",
    "test_creating_twice_is_told_apart_from_failing",
    "test_lists_are_selected_by_label",
    "test_the_status_is_written_apart_from_the_rest",
    "test_what_is_created_can_be_read",
    "workflow",
]


@pytest.fixture
async def workflow(cluster: Cluster) -> AsyncIterator[str]:
    """The name of a workflow that no engine attends to: it is in another namespace than jobs are."""
    name = f"port-{uuid.uuid4().hex[:12]}"
    await cluster.create(WORKFLOWS, workflow_body(name))
    yield name
    try:
        await cluster.patch(WORKFLOWS, name, {"metadata": {"finalizers": None}})
    except ObjectGone:
        return
    await cluster.delete(WORKFLOWS, name)


def workflow_body(name: str) -> Object:
    algorithm = {"container": {"entrypoint": "x", "image": "i"}}
    return resource.build_workflow(name, {"environment": "e", "stages": [{"algorithm": algorithm}]}, 1.0)


async def test_what_is_created_can_be_read(cluster: Cluster, workflow: str) -> None:
    found = await cluster.get(WORKFLOWS, workflow)
    assert found is not None
    assert resource.parse_workflow(found).spec.environment == "e"
    assert await cluster.get(WORKFLOWS, "no-such") is None


async def test_creating_twice_is_told_apart_from_failing(cluster: Cluster, workflow: str) -> None:
    with pytest.raises(AlreadyExists):
        await cluster.create(WORKFLOWS, workflow_body(workflow))


async def test_a_patch_of_another_version_is_refused(cluster: Cluster, workflow: str) -> None:
    found = await cluster.get(WORKFLOWS, workflow)
    assert found is not None
    version = found["metadata"]["resourceVersion"]
    fresh = {"metadata": {"resourceVersion": version}, "spec": {"stop": True}}
    assert (await cluster.patch(WORKFLOWS, workflow, fresh))["spec"]["stop"] is True
    with pytest.raises(VersionConflict):
        await cluster.patch(WORKFLOWS, workflow, {**fresh, "spec": {"stop": False}})
    with pytest.raises(ObjectGone):
        await cluster.patch(WORKFLOWS, "no-such", {"spec": {"stop": True}})


async def test_a_json_patch_is_applied_as_a_whole_or_not_at_all(cluster: Cluster, workflow: str) -> None:
    found = await cluster.get(WORKFLOWS, workflow)
    assert found is not None
    steps = [
        {"op": "test", "path": "/metadata/uid", "value": found["metadata"]["uid"]},
        {"op": "add", "path": "/metadata/finalizers/-", "value": "example.com/second"},
        {"op": "add", "path": "/metadata/annotations", "value": {"example.com/a": "1", "example.com/b": "2"}},
        {"op": "remove", "path": "/metadata/annotations/example.com~1a"},
    ]
    made = (await cluster.patch_json(WORKFLOWS, workflow, steps))["metadata"]
    assert made["finalizers"] == [*found["metadata"]["finalizers"], "example.com/second"]
    assert made["annotations"] == {"example.com/b": "2"}
    for path in ("/metadata/uid", "/metadata/none"):
        with pytest.raises(ClusterError) as refused:
            wrong = {"op": "test", "path": path, "value": "another"}
            await cluster.patch_json(WORKFLOWS, workflow, [{**steps[1], "value": "example.com/x"}, wrong])
        assert refused.value.status == 422
    assert (await cluster.get(WORKFLOWS, workflow) or {})["metadata"]["finalizers"] == made["finalizers"]
    with pytest.raises(ObjectGone):
        await cluster.patch_json(WORKFLOWS, "no-such", steps)


async def test_the_status_is_written_apart_from_the_rest(cluster: Cluster, workflow: str) -> None:
    both = {"spec": {"stop": True}, "status": {"code": 20}}
    written = await cluster.patch(WORKFLOWS, workflow, both, status=True)
    assert written["status"]["code"] == 20
    assert not written["spec"].get("stop")
    written = await cluster.patch(WORKFLOWS, workflow, {"status": {"code": 30}, "spec": {"stop": True}})
    assert (written["status"]["code"], written["spec"]["stop"]) == (20, True)


async def test_a_finalizer_holds_what_is_deleted(cluster: Cluster, workflow: str) -> None:
    assert await cluster.delete(WORKFLOWS, workflow)
    found = await cluster.get(WORKFLOWS, workflow)
    assert found is not None
    assert resource.parse_workflow(found).deleted is not None
    await cluster.patch(WORKFLOWS, workflow, {"metadata": {"finalizers": []}})
    assert await cluster.get(WORKFLOWS, workflow) is None
    assert not await cluster.delete(WORKFLOWS, workflow)


async def test_another_object_of_that_name_is_left_alone(cluster: Cluster, workflow: str) -> None:
    another = "00000000-0000-0000-0000-000000000000"
    assert not await cluster.delete(WORKFLOWS, workflow, uid=another)
    with pytest.raises(ClusterError) as refused:
        await cluster.patch(WORKFLOWS, workflow, {"metadata": {"uid": another}, "spec": {"stop": True}})
    assert refused.value.status == 422
    found = await cluster.get(WORKFLOWS, workflow)
    assert found is not None
    assert "deletionTimestamp" not in found["metadata"]


async def test_lists_are_selected_by_label(cluster: Cluster, workflow: str) -> None:
    found, version = await cluster.list(WORKFLOWS, f"c2d.oceanprotocol.com/job={workflow}")
    assert [entry["metadata"]["name"] for entry in found] == [workflow]
    assert version
    assert (await cluster.list(SECRETS, "no-such-label=1"))[0] == []


async def test_an_informer_follows(cluster: Cluster, workflow: str) -> None:
    informer = Informer(cluster, WORKFLOWS)
    told: list[tuple[str, bool]] = []
    informer.listen(lambda seen, deleted: told.append((seen["metadata"]["name"], deleted)))
    informer.start()
    await asyncio.wait_for(informer.synced.wait(), 10)
    assert informer.get(workflow) is not None
    await cluster.patch(WORKFLOWS, workflow, {"metadata": {"finalizers": []}})
    await cluster.delete(WORKFLOWS, workflow)
    async with asyncio.timeout(10):
        while (workflow, True) not in told:  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.01)
    assert informer.get(workflow) is None
    await informer.stop()
