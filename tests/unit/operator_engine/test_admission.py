"""Who may start next: fairness, priority, limits and quota."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from c2d_box.operator_engine.scheduling.job_queue import EnvironmentLimits, JobQueue, ResourceRequest

ONE = ResourceRequest(1.0, 1, 1)


def fill(
    queue: JobQueue, environments: dict[str, str], owners: dict[str, str], now: float = 0.0
) -> list[str]:
    chosen = []
    while (job := queue.next_job(now)) is not None:
        queue.hold_place(job, environments.get(job, "e"), owners[job], now)
        chosen.append(job)
    return chosen


def test_a_burst_of_one_owner_does_not_hold_up_another_even_with_one_place() -> None:
    queue = JobQueue({"e": EnvironmentLimits(1)}, None)
    owners = {f"a{n}": "a" for n in range(5)} | {f"b{n}": "b" for n in range(5)}
    for number, (job, owner) in enumerate(owners.items()):
        queue.enqueue_job(job, "e", owner, float(number))
    order: list[str] = []
    for now in range(10):
        [job] = fill(queue, {}, owners, float(now))
        order.append(job)
        queue.release_place(job, "e", owners[job], float(now))
    assert [owners[job] for job in order] == ["a", "b"] * 5
    assert [job for job in order if job[0] == "a"] == [f"a{n}" for n in range(5)]


@given(st.integers(1, 12), st.integers(4, 12))
def test_who_took_all_places_first_is_caught_up_with(places: int, rounds: int) -> None:
    queue, count = JobQueue({"e": EnvironmentLimits(places)}, None), places * rounds
    owners = {f"{owner}{number:03d}": owner for owner in "ab" for number in range(count)}
    for job in list(owners)[:count]:
        queue.enqueue_job(job, "e", "a", 0.0)
    running = fill(queue, {}, owners)
    for job in list(owners)[count:]:
        queue.enqueue_job(job, "e", "b", 1.0)
    started = Counter(owners[job] for job in running)
    for now in range(2, count):
        done = running.pop(0)
        queue.release_place(done, "e", owners[done], 0.0)
        chosen = fill(queue, {}, owners, float(now))
        started.update(owners[job] for job in chosen)
        running += chosen
        if now > 3 * places:
            assert abs(started["a"] - started["b"]) <= 2


def test_an_owner_of_long_jobs_never_loses_more_than_a_quarter_of_the_places() -> None:
    """However many short ones the other has had meanwhile."""
    queue = JobQueue({"e": EnvironmentLimits(8)}, None)
    owners = {f"short{n:03d}": "s" for n in range(400)} | {f"long{n}": "l" for n in range(20)}
    for job, owner in owners.items():
        queue.enqueue_job(job, "e", owner, 0.0)
    running: list[str] = []
    for now in range(300):
        done = next((job for job in running if owners[job] == "s"), None)
        if done is not None:
            running.remove(done)
            queue.release_place(done, "e", "s", float(now - 1))
        running += fill(queue, {}, owners, float(now))
    assert Counter(owners[job] for job in running) == {"l": 6, "s": 2}


def test_a_start_that_is_told_again_or_forgotten_counts_once_or_not() -> None:
    queue = JobQueue({"e": EnvironmentLimits(9, quota=2, quota_seconds=100)}, None)
    queue.hold_place("j0", "e", "o", 9.5)  # as reserved
    queue.hold_place("j0", "e", "o", 10.0)
    queue.release_place("j0", "e", "o", 10.0)
    queue.enqueue_job("j1", "e", "o", 0.0)
    assert queue.next_job(11.0) == "j1"
    queue.hold_place("j1", "e", "o", 11.0)
    queue.enqueue_job("j2", "e", "o", 0.0)
    assert queue.next_job(12.0) is None
    queue.remove_job("j0")
    assert queue.next_job(12.0) == "j2"


@given(st.integers(1, 6), st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=60), st.randoms())
def test_while_all_have_jobs_waiting_none_is_more_than_one_ahead(
    places: int, burst: list[str], dice: object
) -> None:
    queue = JobQueue({"e": EnvironmentLimits(places)}, None)
    owners = {f"j{number:03d}": owner for number, owner in enumerate(burst)}
    for number, (job, owner) in enumerate(owners.items()):
        queue.enqueue_job(job, "e", owner, float(number))
    left, served, running = Counter(burst), Counter[str](), []
    now = 0.0
    while sum(left.values()):
        now += 1
        for job in fill(queue, {}, owners, now):
            running.append(job)
            served[owners[job]] += 1
            left[owners[job]] -= 1
        busy = [served[owner] for owner in set(burst) if left[owner]]
        assert not busy or max(busy) - min(busy) <= places
        done = running.pop(0)
        queue.release_place(done, "e", owners[done], now)
    assert served == Counter(burst)


def test_the_environment_of_higher_priority_comes_first_where_capacity_is_short() -> None:
    rooms = {"low": EnvironmentLimits(5, ONE, 0), "high": EnvironmentLimits(5, ONE, 10)}
    queue = JobQueue(rooms, ResourceRequest(2.0, 10, 10))
    environments = {"l1": "low", "l2": "low", "h1": "high", "h2": "high"}
    for number, (job, environment) in enumerate(environments.items()):
        queue.enqueue_job(job, environment, "o", float(number))
    assert fill(queue, environments, dict.fromkeys(environments, "o")) == ["h1", "h2"]


@pytest.mark.parametrize(
    "capacity",
    [ResourceRequest(1.5, 100, 100), ResourceRequest(100.0, 1, 100), ResourceRequest(100.0, 100, 1)],
    ids=["cpu", "memory", "disk"],
)
def test_each_of_cpu_memory_and_disk_limits_what_runs_together(capacity: ResourceRequest) -> None:
    queue = JobQueue({"e": EnvironmentLimits(5, ONE)}, capacity)
    for number in range(3):
        queue.enqueue_job(f"j{number}", "e", "o", float(number))
    assert len(fill(queue, {}, {f"j{number}": "o" for number in range(3)})) == 1


def test_a_large_job_is_not_starved_by_small_ones() -> None:
    queue = JobQueue(
        {"small": EnvironmentLimits(9, ONE), "large": EnvironmentLimits(9, ResourceRequest(3.0, 3, 3))},
        ResourceRequest(3.0, 3, 3),
    )
    queue.hold_place("s0", "small", "o", 0.0)
    queue.enqueue_job("big", "large", "o", 1.0)
    queue.enqueue_job("s1", "small", "o", 2.0)
    assert queue.next_job(3.0) is None
    queue.release_place("s0", "small", "o", 0.0)
    assert queue.next_job(4.0) == "big"


def test_what_can_never_fit_holds_up_nobody() -> None:
    queue = JobQueue(
        {"e": EnvironmentLimits(9, ONE), "huge": EnvironmentLimits(9, ResourceRequest(9.0, 1, 1))},
        ResourceRequest(3.0, 3, 3),
    )
    queue.enqueue_job("never", "huge", "o", 0.0)
    queue.enqueue_job("j", "e", "o", 1.0)
    assert queue.next_job(2.0) == "j"


def test_an_owners_limit_lets_the_next_owner_in() -> None:
    queue = JobQueue({"e": EnvironmentLimits(3, per_owner=1)}, None)
    owners = {"a1": "a", "a2": "a", "b1": "b"}
    for number, (job, owner) in enumerate(owners.items()):
        queue.enqueue_job(job, "e", owner, float(number))
    assert fill(queue, {}, owners) == ["a1", "b1"]


def test_a_free_quota_counts_finished_jobs_and_opens_again() -> None:
    queue = JobQueue({"e": EnvironmentLimits(9, quota=2, quota_seconds=100)}, None)
    owners = {f"j{number}": "o" for number in range(3)}
    for number, job in enumerate(owners):
        queue.enqueue_job(job, "e", "o", float(number))
    assert fill(queue, {}, owners, 10.0) == ["j0", "j1"]
    queue.release_place("j0", "e", "o", 10.0)
    queue.release_place("j1", "e", "o", 10.0)
    assert queue.next_job(109.0) is None
    assert queue.next_job(110.0) == "j2"


def test_a_job_that_is_forgotten_leaves_no_trace() -> None:
    queue = JobQueue({"e": EnvironmentLimits(1)}, None)
    queue.enqueue_job("j", "e", "o", 0.0)
    queue.hold_place("j", "e", "o", 0.0)
    queue.remove_job("j")
    queue.remove_job("j")
    assert not queue.holding()["e"]
    assert not queue.waiting()["e"]
    assert not queue._owners["e"]
