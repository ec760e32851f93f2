"""Who may start: a job is admitted only when all its pods fit, so that no two jobs hold what the other needs.

Each environment is a queue. The next one is the oldest job of the owner who has the fewest running, which
is first come, first served while owners are equally busy, and keeps one of them from filling the place
with a burst.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from c2d_box.workflow.resource import WorkFlow


@dataclass(frozen=True, slots=True)
class Demand:
    """What the pods of one job request together: cores and bytes."""

    cpu: float = 0.0
    memory: int = 0


@dataclass(frozen=True, slots=True)
class Room:
    """An environment's number of places and what one job in it requests."""

    places: int
    demand: Demand = Demand()


def admit(
    workflows: Iterable[WorkFlow],
    rooms: Mapping[str, Room],
    capacity: Demand | None,
    reserved: frozenset[str],
) -> set[str]:
    """The jobs that may start now. ``reserved`` jobs were admitted already, even where the status does
    not say so yet. A job holds its place until its pods and volume are gone."""
    waiting: list[WorkFlow] = []
    busy: Counter[str] = Counter()
    owners: Counter[tuple[str, str]] = Counter()
    used = Demand()
    for workflow in workflows:
        environment = workflow.spec.environment
        if environment not in rooms or workflow.at("cleaned") is not None:
            continue
        if workflow.at("admitted") is not None or workflow.job in reserved:
            busy[environment] += 1
            owners[environment, workflow.spec.owner.lower()] += 1
            used = _add(used, rooms[environment].demand)
        elif not workflow.finished and workflow.deleted is None:
            waiting.append(workflow)
    chosen: set[str] = set()
    while waiting:
        following = min(waiting, key=lambda entry: _turn(entry, owners))
        waiting.remove(following)
        environment = following.spec.environment
        total = _add(used, rooms[environment].demand)
        if busy[environment] >= rooms[environment].places or not _fits(total, capacity):
            continue
        chosen.add(following.job)
        busy[environment] += 1
        owners[environment, following.spec.owner.lower()] += 1
        used = total
    return chosen


def _turn(workflow: WorkFlow, owners: Counter[tuple[str, str]]) -> tuple[int, float, str]:
    running = owners[workflow.spec.environment, workflow.spec.owner.lower()]
    return running, workflow.at("accepted") or 0.0, workflow.job


def _add(one: Demand, other: Demand) -> Demand:
    return Demand(one.cpu + other.cpu, one.memory + other.memory)


def _fits(demand: Demand, capacity: Demand | None) -> bool:
    return capacity is None or (demand.cpu <= capacity.cpu + 1e-9 and demand.memory <= capacity.memory)
