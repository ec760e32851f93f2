"""One engine leads; whatever becomes of it, another one takes over, and never do two lead at once."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from c2d_box.kubernetes.memory import Memory
from c2d_box.kubernetes.port import LEASES, ClusterError, Object, Resource
from c2d_box.operator_engine.leader_election import Leadership


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def engine(cluster: Memory, name: str, clock: Clock, told: list[str] | None = None) -> Leadership:
    def lead(leading: bool) -> None:
        if told is not None:
            told.append(f"{name} {'leads' if leading else 'follows'}")

    return Leadership(cluster, name, lead, duration=8.0, renew=2.0, clock=clock)


async def test_the_first_one_leads_and_the_second_one_waits() -> None:
    cluster, clock, told = Memory(), Clock(), list[str]()
    first, second = engine(cluster, "a", clock, told), engine(cluster, "b", clock, told)
    for _ in range(10):
        await first.attempt()
        await second.attempt()
        clock.now += 2.0
    assert first.leading
    assert not second.leading
    assert told == ["a leads"]


async def test_a_dead_leader_is_followed_within_its_lease() -> None:
    cluster, clock = Memory(), Clock()
    first, second = engine(cluster, "a", clock), engine(cluster, "b", clock)
    await first.attempt()
    await second.attempt()
    began = clock.now
    while not second.leading:
        clock.now += 2.0
        await second.attempt()
    assert 8.0 <= clock.now - began <= 10.0
    assert not first.leading


async def test_a_clean_end_hands_over_at_once() -> None:
    cluster, clock = Memory(), Clock()
    first, second = engine(cluster, "a", clock), engine(cluster, "b", clock)
    await first.attempt()
    await second.attempt()
    await first.release()
    await second.attempt()
    assert second.leading
    assert not first.leading


async def test_a_restarted_engine_of_the_same_pod_goes_on_at_once() -> None:
    cluster, clock = Memory(), Clock()
    await engine(cluster, "a", clock).attempt()
    again = engine(cluster, "a", clock)
    await again.attempt()
    assert again.leading


class Late(Memory):
    """Answers after so many seconds."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock, self.seconds = clock, 0.0

    async def get(self, resource: Resource, name: str) -> Object | None:
        self.clock.now += self.seconds
        return await super().get(resource, name)


async def test_who_stood_still_because_an_answer_was_late_is_told_anew_to_lead() -> None:
    clock, told = Clock(), list[str]()
    cluster = Late(clock)
    first = engine(cluster, "a", clock, told)
    await first.attempt()
    clock.now += 2.0
    cluster.seconds = 6.5
    await first.attempt()  # held all the time, but too old when it is known
    assert not first.leading
    cluster.seconds = 0.0
    clock.now += 2.0
    told.clear()
    await first.attempt()
    assert first.leading
    assert told == ["a leads"]
    await first.attempt()
    assert told == ["a leads"]


async def test_a_leader_cut_off_stops_before_another_one_starts() -> None:
    cluster, clock = Memory(), Clock()
    first, second = engine(cluster, "a", clock), engine(cluster, "b", clock)
    await first.attempt()
    await second.attempt()
    for _ in range(5):
        clock.now += 1.9
        cluster.fail_next = [ClusterError("away")]
        await first.attempt()
        cluster.fail_next = []
        await second.attempt()
        assert not (first.leading and second.leading)
    assert second.leading


@pytest.mark.parametrize("holder", ["b", ""])
async def test_a_lease_is_taken_from_exactly_the_version_seen(holder: str) -> None:
    """Two followers that see the same free lease: one gets it."""
    cluster, clock = Memory(), Clock()
    one, two, third = (engine(cluster, name, clock) for name in ("a", "b", "c"))
    await third.attempt()
    await third.release()
    await one.attempt()
    await two.attempt()
    assert [one.leading, two.leading].count(True) == 1


MOVES = ("attempt", "attempt", "attempt", "cut", "pause", "tick", "tick", "release", "restart")


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from(MOVES)), max_size=60), st.randoms())
async def test_never_do_two_lead(moves: list[tuple[int, str]], dice: random.Random) -> None:
    cluster, clock = Memory(), Clock()
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
            await engines[who].release()
        else:
            cluster.fail_next = [ClusterError("away")] if move == "cut" else []
            await engines[who].attempt()
            cluster.fail_next = []
        assert sum(each.leading for each in engines) <= 1
    clock.now += 20
    for _ in range(4):
        clock.now += 3
        await engines[0].attempt()
    assert engines[0].leading
    lease = await cluster.get(LEASES, "operator-engine")
    assert lease is not None
    assert lease["spec"]["holderIdentity"] == "0"
