"""Locks on orders that nobody releases: the engine removes them, and none that a job may still need."""

from __future__ import annotations

from typing import Any

import pytest

from c2d_box.kubernetes.memory import MemoryCluster
from c2d_box.kubernetes.port import LEASES
from c2d_box.operator_engine.effects.order_locks import LEFT_SECONDS, remove_left_locks
from c2d_box.workflow import leases, resource
from c2d_box.workflow.resource import WORKFLOWS
from tests.harness.job_model import JobModel

NOW = 1_800_000_000.0
OLD = NOW - LEFT_SECONDS - 1
SPEC: dict[str, Any] = {"environment": "e", "owner": "0x1", "agreementId": "0xorder", "stages": []}


def nothing_seen(job: str) -> None:
    return None


@pytest.fixture
async def cluster() -> MemoryCluster:
    made = MemoryCluster()
    engine = {"metadata": {"name": leases.ENGINE}, "spec": {"holderIdentity": "engine-1"}}
    await made.create(LEASES, engine)
    return made


async def test_the_lock_of_a_job_whose_finalizer_was_forced_goes_after_a_while(
    cluster: MemoryCluster,
) -> None:
    await cluster.create(LEASES, leases.lease_body("0xorder", "gone", OLD))
    assert await remove_left_locks(cluster, nothing_seen, NOW) == [leases.order_lease_name("0xorder")]
    assert cluster.names(LEASES) == (leases.ENGINE,), "the lease of the engine that leads stays"


async def test_a_fresh_lock_stays_for_its_workflow_may_be_on_the_way(cluster: MemoryCluster) -> None:
    await cluster.create(LEASES, leases.lease_body("0xorder", "coming", NOW - LEFT_SECONDS + 1))
    assert await remove_left_locks(cluster, nothing_seen, NOW) == []


async def test_a_renewed_lock_stays(cluster: MemoryCluster) -> None:
    made = await cluster.create(LEASES, leases.lease_body("0xorder", "coming", OLD))
    await cluster.patch(LEASES, made["metadata"]["name"], leases.lease_renewal(NOW - 1))
    assert await remove_left_locks(cluster, nothing_seen, NOW) == []


@pytest.mark.parametrize("seen", [True, False])
async def test_the_lock_of_a_job_that_exists_stays_also_where_the_engine_has_not_seen_it_yet(
    cluster: MemoryCluster, seen: bool
) -> None:
    await cluster.create(LEASES, leases.lease_body("0xorder", "job", OLD))
    await cluster.create(WORKFLOWS, resource.build_workflow("job", SPEC, OLD))
    known = JobModel().workflow if seen else None
    assert await remove_left_locks(cluster, lambda job: known, NOW) == []


async def test_a_lease_of_somebody_else_with_the_label_of_jobs_stays(cluster: MemoryCluster) -> None:
    foreign = leases.lease_body("0xorder", "gone", OLD)
    foreign["metadata"]["name"] = "another-tool"
    await cluster.create(LEASES, foreign)
    assert await remove_left_locks(cluster, nothing_seen, NOW) == []
