"""One engine leads; whatever becomes of it, another one takes over, and never do two lead at once."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from c2d_box.kubernetes.memory import MemoryCluster
from c2d_box.kubernetes.port import LEASES, ClusterError, Object, ResourceKind
from c2d_box.operator_engine.leader_election import LeaderElection


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def engine(cluster: MemoryCluster, name: str, clock: Clock, told: list[str] | None = None) -> LeaderElection:
    def lead(leading: bool) -> None:
        if told is not None:
            told.append(f"{name} {'leads' if leading else 'follows'}")

    election = LeaderElection(cluster, name, duration=8.0, renew=2.0, clock=clock)
    election.listen(lead)
    return election


async def test_the_first_one_leads_and_the_second_one_waits() -> None:
    cluster, clock, told = MemoryCluster(), Clock(), list[str]()
    first, second = engine(cluster, "a", clock, told), engine(cluster, "b", clock, told)
    for _ in range(10):
        await first.try_lease()
        await second.try_lease()
        clock.now += 2.0
    assert first.is_leading
    assert not second.is_leading
    assert told == ["a leads"]


async def test_a_dead_leader_is_followed_within_its_lease() -> None:
    cluster, clock = MemoryCluster(), Clock()
    first, second = engine(cluster, "a", clock), engine(cluster, "b", clock)
    await first.try_lease()
    await second.try_lease()
    began = clock.now
    while not second.is_leading:
        clock.now += 2.0
        await second.try_lease()
    assert 8.0 <= clock.now - began <= 10.0
    assert not first.is_leading


async def test_a_clean_end_hands_over_at_once() -> None:
    cluster, clock = MemoryCluster(), Clock()
    first, second = engine(cluster, "a", clock), engine(cluster, "b", clock)
    await first.try_lease()
    await second.try_lease()
    await first.release_lease()
    await second.try_lease()
    assert second.is_leading
    assert not first.is_leading


async def test_a_restarted_engine_of_the_same_pod_goes_on_at_once() -> None:
    cluster, clock = MemoryCluster(), Clock()
    await engine(cluster, "a", clock).try_lease()
    again = engine(cluster, "a", clock)
    await again.try_lease()
    assert again.is_leading


class Late(MemoryCluster):
    """Answers after so many seconds."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock, self.seconds = clock, 0.0

    async def get(self, resource: ResourceKind, name: str) -> Object | None:
        self.clock.now += self.seconds
        return await super().get(resource, name)


async def test_who_stood_still_because_an_answer_was_late_is_told_anew_to_lead() -> None:
    clock, told = Clock(), list[str]()
    cluster = Late(clock)
    first = engine(cluster, "a", clock, told)
    await first.try_lease()
    clock.now += 2.0
    cluster.seconds = 6.5
    await first.try_lease()  # held all the time, but too old when it is known
    assert not first.is_leading
    cluster.seconds = 0.0
    clock.now += 2.0
    told.clear()
    await first.try_lease()
    assert first.is_leading
    assert told == ["a leads"]
    await first.try_lease()
    assert told == ["a leads"]


async def test_a_leader_cut_off_stops_before_another_one_starts() -> None:
    cluster, clock = MemoryCluster(), Clock()
    first, second = engine(cluster, "a", clock), engine(cluster, "b", clock)
    await first.try_lease()
    await second.try_lease()
    for _ in range(5):
        clock.now += 1.9
        cluster.fail_next = [ClusterError("away")]
        await first.try_lease()
        cluster.fail_next = []
        await second.try_lease()
        assert not (first.is_leading and second.is_leading)
    assert second.is_leading


@pytest.mark.parametrize("holder", ["b", ""])
async def test_a_lease_is_taken_from_exactly_the_version_seen(holder: str) -> None:
    """Two followers that see the same free lease: one gets it."""
    cluster, clock = MemoryCluster(), Clock()
    one, two, third = (engine(cluster, name, clock) for name in ("a", "b", "c"))
    await third.try_lease()
    await third.release_lease()
    await one.try_lease()
    await two.try_lease()
    assert [one.is_leading, two.is_leading].count(True) == 1


MOVES = ("attempt", "attempt", "attempt", "cut", "pause", "tick", "tick", "release", "restart")


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from(MOVES)), max_size=60), st.randoms())
async def test_never_do_two_lead(moves: list[tuple[int, str]], dice: random.Random) -> None:
    cluster, clock = MemoryCluster(), Clock()
    engines = [engine(cluster, str(number), clock) for number in range(3)]
    act: dict[str, Callable[[int], object]] = {
        "tick": lambda _: setattr(clock, "now", clock.now + dice.choice([0.5, 2.0])),
        "pause": lambda _: setattr(clock, "now", clock.now + 30.0),
        "restart": lambda who: engines.__setitem__(who, engine(cluster, str(who), clock)),
    }
    for who, move in moves:
        if move in act:
            act[move](who)
        elif move == "release":
            await engines[who].release_lease()
        else:
            cluster.fail_next = [ClusterError("away")] if move == "cut" else []
            await engines[who].try_lease()
            cluster.fail_next = []
        assert sum(each.is_leading for each in engines) <= 1
    clock.now += 20
    for _ in range(4):
        clock.now += 3
        await engines[0].try_lease()
    assert engines[0].is_leading
    lease = await cluster.get(LEASES, "operator-engine")
    assert lease is not None
    assert lease["spec"]["holderIdentity"] == "0"
