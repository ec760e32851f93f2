"""One order carries one job at a time, whoever asks, however often and however at once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from c2d_box.kubernetes.port import LEASES, SECRETS, ClusterError
from c2d_box.workflow import leases
from c2d_box.workflow.resource import WORKFLOWS

JOB, OTHER = "0123456789abcdef0123456789abcdef", "f" * 32
DATASET, ALGORITHM, ANOTHER = "0xd:0xdt:0", "0xa:0xat:0", "0xb:0xat:0"
TAKEN = {"error": "`agreementId` already in use for other job."}


def locks(*keys: str) -> set[str]:
    return {leases.order_lease_name(key) for key in keys}


async def test_every_order_of_a_job_is_locked_and_stands_in_its_status(front: Any) -> None:
    (status,) = (await front.start(orders=[DATASET, ALGORITHM])).json()
    assert set(front.cluster.names(LEASES)) == locks(DATASET, ALGORITHM)
    assert status["orders"] == sorted([DATASET, ALGORITHM])


async def test_a_paid_order_carries_no_second_job_beside_another_free_one(front: Any) -> None:
    """The agreement differs, as a free algorithm can be ordered twice; the dataset's order is one."""
    await front.start(agreementId="0xa", orders=[DATASET, ALGORITHM])
    answer = await front.start(jobId=OTHER, agreementId="0xb", orders=[DATASET, ANOTHER])
    assert (answer.status_code, answer.json()) == (400, TAKEN)
    assert front.cluster.names(WORKFLOWS) == (JOB,)
    assert set(front.cluster.names(LEASES)) == locks(DATASET, ALGORITHM), "a refused job left a lock"


@pytest.mark.parametrize("spelt", ["0xABCDEF", "0xabcdef", "0xAbCdEf"])
async def test_the_case_of_an_order_makes_no_other_order(front: Any, spelt: str) -> None:
    await front.start(agreementId="0xabcdef")
    answer = await front.start(jobId=OTHER, agreementId=spelt)
    assert (answer.status_code, answer.json()) == (400, TAKEN)


@pytest.mark.parametrize("orders", ["0x1", [], [1], [""], ["x" * 256], ["0x"] * 257, {"a": 1}])
async def test_what_is_no_list_of_orders_is_refused(front: Any, orders: Any) -> None:
    answer = await front.start(orders=orders)
    assert answer.status_code == 400 and '"orders"' in answer.json()["error"]
    assert front.cluster.names(LEASES) == ()


async def test_a_workflow_that_kubernetes_refuses_leaves_no_lock(front: Any) -> None:
    real = front.cluster.create

    async def refuses(resource: Any, body: Any) -> Any:
        if resource is WORKFLOWS:
            raise ClusterError("spec.x is too long", 422)
        return await real(resource, body)

    front.cluster.create = refuses
    assert (await front.start(orders=[DATASET, ALGORITHM])).status_code == 400
    assert front.cluster.names(LEASES) == ()


@pytest.mark.parametrize("died_at", range(4))
async def test_a_service_that_died_between_two_writes_is_continued(front: Any, died_at: int) -> None:
    """Two locks, the WorkFlow, the grants: the same call goes on wherever the one before it broke off."""
    real, writes = front.cluster.create, 0

    async def dies(resource: Any, body: Any) -> Any:
        nonlocal writes
        if writes == died_at:
            raise ClusterError("connection lost")
        writes += 1
        return await real(resource, body)

    front.cluster.create = dies
    assert (await front.start(orders=[DATASET, ALGORITHM])).status_code == 503
    front.cluster.create = real
    assert (await front.start(orders=[DATASET, ALGORITHM])).status_code == 200
    assert front.cluster.names(WORKFLOWS) == (JOB,) and len(front.cluster.names(SECRETS)) == 1
    assert set(front.cluster.names(LEASES)) == locks(DATASET, ALGORITHM)


async def test_of_two_hundred_starts_at_once_one_runs(front: Any) -> None:
    """Each is another request, half of them under another agreement; then the next turn, and the next."""
    for turn in range(3):
        jobs = [f"{turn:02x}{n:030x}" for n in range(200)]
        answers = await asyncio.gather(
            *(
                front.start(
                    jobId=job, agreementId=f"0x{n % 2}", orders=[DATASET, (ALGORITHM, ANOTHER)[n % 2]]
                )
                for n, job in enumerate(jobs)
            )
        )
        started = [answer.json()[0]["jobId"] for answer in answers if answer.status_code == 200]
        assert len(started) == 1 and len(front.cluster.names(WORKFLOWS)) == turn + 1
        assert all(answer.json() == TAKEN for answer in answers if answer.status_code != 200)
        assert len(front.cluster.names(LEASES)) == 2
        await front.finish(started[0])
        for _ in range(400):  # the watch needs its moment
            if not front.jobs.unfinished_jobs():
                break
            await asyncio.sleep(0.005)


async def test_of_two_hundred_repetitions_of_one_start_one_job_comes(front: Any) -> None:
    answers = await asyncio.gather(*(front.start(orders=[DATASET, ALGORITHM]) for _ in range(200)))
    assert {answer.status_code for answer in answers} == {200}
    assert {answer.json()[0]["jobId"] for answer in answers} == {JOB}
    assert front.cluster.names(WORKFLOWS) == (JOB,)
