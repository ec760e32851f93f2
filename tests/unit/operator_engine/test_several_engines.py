"""Two engines on one cluster: one acts, both answer the pods, and a change of leaders is no event in a
job's life.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from c2d_box.kubernetes.port import PODS
from c2d_box.operator_engine.rules.stage_reports import GoAhead
from c2d_box.workflow import names

JOB = "0" * 31 + "1"


@pytest.fixture
async def pair(stack: Any, secrets: Path) -> AsyncIterator[tuple[Any, Any]]:
    """The leader, and a follower on the same cluster."""
    follower = type(stack)(stack.settings, secrets)
    follower.cluster, follower.leads = stack.cluster, False
    follower.boot()
    await follower.start()
    yield stack, follower
    await follower.stop()


async def caught_up(follower: Any, leader: Any) -> None:
    await follower.node.until(
        lambda: (
            (found := follower.controller.job_cache.workflow(JOB)) is not None
            and found.version == leader.node.workflow(JOB).version
        )
    )


async def running(leader: Any) -> None:
    await leader.submit(JOB)
    await leader.node.bind(JOB)
    await leader.node.start(names.pod_name(JOB, "configuration"), "configuration")
    await leader.node.start(names.pod_name(JOB, "algorithm"), "warden", "algorithm")
    await leader.node.start(names.pod_name(JOB, "publishing"), "judge", "upload")
    await leader.node.until(lambda: leader.node.workflow(JOB).status.algorithm.uid is not None)


def hand_over(one: Any, other: Any) -> None:
    one.leads, other.leads = False, True
    one.controller.on_leadership_change(False)
    other.controller.on_leadership_change(True)


async def test_a_follower_takes_reports_and_gives_the_go_ahead(pair: tuple[Any, Any]) -> None:
    leader, follower = pair
    await running(leader)
    await caught_up(follower, leader)
    assert (await follower.pod_reports.take_report(JOB, "configuration", {"status": 30})).status == 200
    assert follower.rows.written[-1].at("staged") is not None
    waiting = asyncio.create_task(follower.pod_reports.await_go_ahead(JOB, 5.0))
    await leader.node.end(names.pod_name(JOB, "algorithm"), warden=0, algorithm=0)
    assert isinstance(await waiting, GoAhead)
    assert (await follower.pod_reports.take_report(JOB, "judge", {"refused": []})).status == 200
    assert (await follower.pod_reports.take_report(JOB, "upload", {"results": []})).status == 200
    await leader.node.until(lambda: leader.node.workflow(JOB).finished)
    assert leader.node.workflow(JOB).status.code == 70


async def test_a_follower_does_nothing_on_its_own(pair: tuple[Any, Any]) -> None:
    leader, follower = pair
    leader.leads = False
    await leader.submit(JOB)
    await follower.node.until(lambda: follower.controller.job_cache.workflow(JOB) is not None)
    await follower.controller.wait_idle()
    assert leader.cluster.names(PODS) == ()
    assert leader.node.workflow(JOB).at("admitted") is None


async def test_leaders_change_in_the_middle_of_a_job(pair: tuple[Any, Any]) -> None:
    one, other = pair
    await one.submit(JOB)
    hand_over(one, other)
    await other.node.bind(JOB)
    hand_over(other, one)
    await one.node.start(names.pod_name(JOB, "algorithm"), "warden", "algorithm")
    await one.node.until(lambda: one.node.workflow(JOB).status.algorithm.uid is not None)
    hand_over(one, other)
    await caught_up(other, one)
    assert (await other.pod_reports.take_report(JOB, "configuration", {"status": 30})).status == 200
    hand_over(other, one)
    await one.node.end(names.pod_name(JOB, "algorithm"), warden=0, algorithm=0)
    await one.node.until(lambda: one.node.workflow(JOB).at("ended") is not None)
    made = [name for verb, plural, name in one.cluster.calls if verb == "create" and plural == "pods"]
    assert names.pod_name(JOB, "algorithm") in made
    uids = {(await one.cluster.get(PODS, name) or {"metadata": {}})["metadata"].get("uid") for name in made}
    assert one.node.workflow(JOB).status.algorithm.uid in uids


async def test_a_second_pod_of_the_same_name_is_not_taken_for_the_algorithms(stack: Any) -> None:
    """Made by an engine that had lost its lease without knowing: the job is lost, not run twice."""
    await running(stack)
    assert (await stack.pod_reports.take_report(JOB, "configuration", {"status": 30})).content["algorithm"]
    name = names.pod_name(JOB, "algorithm")
    body = await stack.cluster.get(PODS, name)
    assert body is not None
    await stack.cluster.vanish(PODS, name)
    del body["metadata"]["uid"]
    await stack.cluster.create(PODS, body)
    await stack.node.until(lambda: stack.node.workflow(JOB).at("ended") is not None)
    assert stack.node.workflow(JOB).status.outcome.code == 81
