"""News of Kubernetes may come late, twice, out of order or not at all: what the engine knows in the end is
the same.
"""

from __future__ import annotations

import asyncio
import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from c2d_box.kubernetes.memory import MemoryCluster
from c2d_box.kubernetes.port import CLAIMS, PODS, ResourceKind, WatchEvent
from c2d_box.operator_engine.state.job_cache import SELECTORS, JobCache
from c2d_box.workflow.resource import WORKFLOWS
from tests.unit.operator_engine.conftest import workflow_body

JOB = "d" * 32
KINDS: dict[str, ResourceKind] = {kind.plural: kind for kind in SELECTORS}
LABELS = {"c2d.oceanprotocol.com/job": JOB, "app.kubernetes.io/component": "algorithm"}


async def history(moves: list[str]) -> MemoryCluster:
    """A workflow, a pod and a claim that come, change and go in this order."""
    cluster = MemoryCluster()
    await cluster.create(WORKFLOWS, workflow_body(JOB))
    for number, move in enumerate(moves):
        verb, _, what = move.partition(" ")
        kind = PODS if what == "pod" else CLAIMS if what == "claim" else WORKFLOWS
        name = JOB if kind is WORKFLOWS else f"{JOB}-{what}"
        exists = name in cluster.names(kind)
        if verb == "make" and not exists:
            await cluster.create(kind, {"metadata": {"name": name, "labels": LABELS}})
        elif verb == "change" and exists:
            await cluster.patch(kind, name, {"metadata": {"annotations": {"n": str(number)}}})
        elif verb == "drop" and exists:
            await cluster.vanish(kind, name)
    return cluster


def told(world: JobCache, plural: str, change: WatchEvent) -> None:
    if change.kind == "DELETED":
        world.remove_object(KINDS[plural], change.object)
    else:
        world.put_object(KINDS[plural], change.object)


def known(world: JobCache) -> Any:
    workflow = world.workflow(JOB)
    pods = sorted((pod.name, pod.uid) for pod in world.pods(JOB))
    return workflow and workflow.version, pods, world.claim(JOB)


def resync(world: JobCache, cluster: MemoryCluster) -> None:
    for kind in SELECTORS:
        bodies, at = asyncio.run(cluster.list(kind))
        world.replace_list(kind, bodies, int(at))


MOVES = [f"{verb} {what}" for verb in ("make", "change", "drop") for what in ("pod", "claim")] + ["change wf"]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(MOVES), max_size=25), st.randoms(use_true_random=False))
def test_doubled_and_reordered_news_come_to_the_same(moves: list[str], dice: random.Random) -> None:
    cluster = asyncio.run(history(moves))
    events = [(plural, change) for plural, _, change in cluster._history]
    ordered, disordered = JobCache(), JobCache()
    for plural, change in events:
        told(ordered, plural, change)
    jumble = [*events, *dice.sample(events, len(events) // 2)]
    dice.shuffle(jumble)
    told(disordered, *events[0])
    for plural, change in jumble:
        told(disordered, plural, change)
    assert known(disordered) == known(ordered)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(MOVES), max_size=25), st.randoms(use_true_random=False))
def test_lost_news_are_made_good_by_the_next_list(moves: list[str], dice: random.Random) -> None:
    cluster = asyncio.run(history(moves))
    events = [(plural, change) for plural, _, change in cluster._history]
    ordered, lossy = JobCache(), JobCache()
    for plural, change in events:
        told(ordered, plural, change)
        if dice.random() < 0.5:
            told(lossy, plural, change)
    resync(lossy, cluster)
    assert known(lossy) == known(ordered)


def test_a_list_counts_also_after_a_restore_of_etcd() -> None:
    """Its versions begin anew below those that were known; a later list had been seen before."""
    cluster = asyncio.run(history(["make pod", "make claim", "change pod", "drop claim"]))
    world = JobCache()
    ahead, _ = asyncio.run(cluster.list(WORKFLOWS))
    ahead[0]["metadata"]["resourceVersion"] = "9000"
    ahead[0]["metadata"]["uid"] = "of another history"
    lost = {"metadata": {"name": f"{JOB}-lost", "labels": LABELS, "resourceVersion": "9001", "uid": "l"}}
    world.replace_list(WORKFLOWS, ahead, 9002)
    world.replace_list(PODS, [lost], 9002)
    resync(world, cluster)
    restored = JobCache()
    resync(restored, cluster)
    assert known(world) == known(restored)
