"""The queue: it decides which job starts next. A job is admitted only when all its pods fit, so that no two
jobs hold what the other needs.

* Each environment has places; of two environments that want the same capacity the one of higher priority
  comes first, and then the job that has waited longest. A job that would fit an empty cluster keeps those
  behind it waiting, or a stream of small ones would starve it.
* Within an environment the turn goes to the owner with the fewest jobs running, then to the one who was
  served longest ago: a burst of one owner does not hold up another, even where there is one place.
* Recent starts count too, so that an owner who took all places of an idle environment does not keep them:
  what an owner started in the last ten minutes beyond the least active waiting owner counts like running
  jobs, up to half of the places.
* An owner above their own limit, or whose free quota is used up, is passed over until that changes.

The state is kept incrementally: thousands of jobs may wait, and one decision must not visit all of them.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

RECENT_SECONDS = 600.0
"""Window in which an owner's starts count against them, also those of jobs that have ended."""


@dataclass(frozen=True, slots=True)
class ResourceRequest:
    """The sum of what the pods of one job request: cores, bytes of memory, bytes of disk."""

    cpu: float = 0.0
    memory: int = 0
    disk: int = 0

    def fits(self, capacity: ResourceRequest | None) -> bool:
        # The tolerance is for sums of fractions: ten times 0.1 cores fit into one.
        return capacity is None or (
            self.cpu <= capacity.cpu + 1e-9 and self.memory <= capacity.memory and self.disk <= capacity.disk
        )


@dataclass(frozen=True, slots=True)
class EnvironmentLimits:
    """The limits of one environment that the queue applies. ``demand`` is what each of its jobs requests;
    ``quota`` the jobs an owner may start within ``quota_seconds``.
    """

    places: int
    demand: ResourceRequest = ResourceRequest()
    priority: int = 0
    per_owner: int | None = None
    quota: int | None = None
    quota_seconds: float = 86400


@dataclass(slots=True)
class OwnerUsage:
    """The running, waiting and recently started jobs of one owner in one environment."""

    running: int = 0
    served: float = float("-inf")
    """Moment of the owner's last admission."""
    waiting: list[tuple[float, str]] = field(default_factory=list)
    """Moment of acceptance and name of each queued job, oldest first."""
    starts: dict[str, float] = field(default_factory=dict)
    """Moment of admission by job, the finished ones included."""
    moments: list[float] = field(default_factory=list)
    """The values of ``starts``, sorted: :meth:`since` counts by bisection."""

    def started(self, job: str, admitted: float) -> None:
        """Note that ``job`` was admitted at this moment."""
        # The same start is reported with every change of its job and counts once.
        if self.starts.get(job) != admitted:
            self.forget(job)
            self.starts[job] = admitted
            insort(self.moments, admitted)
        self.served = max(self.served, admitted)

    def forget(self, job: str) -> None:
        """Remove the start of ``job``, so that it no longer counts."""
        if (admitted := self.starts.pop(job, None)) is not None:
            del self.moments[bisect_left(self.moments, admitted)]

    def since(self, moment: float) -> int:
        """Return how many of the owner's jobs were admitted after ``moment``."""
        return len(self.moments) - bisect_right(self.moments, moment)

    def may(self, room: EnvironmentLimits, now: float) -> bool:
        """Return whether the owner may start another job now, by their own limit and their free quota."""
        if room.per_owner is not None and self.running >= room.per_owner:
            return False
        if room.quota is None:
            return True
        return self.since(now - room.quota_seconds) < room.quota


@dataclass(frozen=True, slots=True)
class _JobState:
    """The queue's record of one job. ``accepted`` is its key in the owner's waiting list."""

    environment: str
    owner: str
    accepted: float
    holds: bool = False
    waits: bool = False


class JobQueue:
    """Knows for each job whether it waits, holds a place or neither, and chooses the next one to start.

    Pure bookkeeping without a clock or a cluster. The caller reports each change and must report a chosen job
    with :meth:`hold_place` before it asks again, or the same job is chosen twice.
    """

    def __init__(self, rooms: Mapping[str, EnvironmentLimits], capacity: ResourceRequest | None) -> None:
        self._rooms = rooms
        self._capacity = capacity
        self._standings: dict[str, _JobState] = {}
        self._owners: dict[str, dict[str, OwnerUsage]] = {name: {} for name in rooms}
        self._busy: Counter[str] = Counter()

    # -- the state of each job

    def enqueue_job(self, job: str, environment: str, owner: str, accepted: float) -> None:
        """Note that the job waits. The place in line counts from ``accepted``, so a
        repeated report changes nothing.
        """
        # Each change first takes the job out of where it was: no count can drift.
        self._leave(job)
        insort(self._owner(environment, owner).waiting, (accepted, job))
        self._standings[job] = _JobState(environment, owner, accepted, waits=True)

    def hold_place(self, job: str, environment: str, owner: str, admitted: float) -> None:
        """Note that the job holds a place; it keeps it until its pods and its volume are gone."""
        self._leave(job)
        entry = self._owner(environment, owner)
        entry.running += 1
        self._busy[environment] += 1
        self._standings[job] = _JobState(environment, owner, admitted, holds=True)
        entry.started(job, admitted)

    def release_place(self, job: str, environment: str, owner: str, admitted: float | None) -> None:
        """Note that the job needs no place (any more). Its start still counts for quota and turn."""
        self._leave(job)
        if admitted is not None:
            self._owner(environment, owner).started(job, admitted)
        self._standings[job] = _JobState(environment, owner, 0.0)

    def remove_job(self, job: str) -> None:
        """Forget the job: it no longer exists, and its start no longer counts."""
        standing = self._leave(job)
        if standing is None:
            return
        entry = self._owner(standing.environment, standing.owner)
        entry.forget(job)
        # Owners without jobs are dropped: addresses cost nothing, and the index would grow for ever.
        if not (entry.running or entry.waiting or entry.starts):
            del self._owners[standing.environment][standing.owner]

    def holding(self) -> Counter[str]:
        """Return the places taken, by environment."""
        return Counter(self._busy)

    def waiting(self) -> Counter[str]:
        """Return the number of jobs in the queue, by environment."""
        return Counter(
            {
                name: sum(len(entry.waiting) for entry in owners.values())
                for name, owners in self._owners.items()
            }
        )

    # -- the decision

    def next_job(self, now: float) -> str | None:
        """Return the job that may start now, None while no job may.

        Where the first in line fits an empty cluster but not what is free, the answer is None and not the
        next smaller job: small jobs would starve the large one.
        """
        # One candidate per environment, the first of its own line; then the best of these
        # by priority and waiting time.
        candidates = []
        for name, room in self._rooms.items():
            if self._busy[name] < room.places and (turn := self._turn(name, room, now)) is not None:
                candidates.append((-room.priority, *turn, name))
        used = self._used()
        for _, _, job, name in sorted(candidates):
            demand = self._rooms[name].demand
            total = ResourceRequest(
                used.cpu + demand.cpu, used.memory + demand.memory, used.disk + demand.disk
            )
            if total.fits(self._capacity):
                return job
            # It would fit an empty cluster: what is free is kept for it. One that never fits holds up nobody.
            if demand.fits(self._capacity):
                return None
        return None

    def _turn(self, environment: str, room: EnvironmentLimits, now: float) -> tuple[float, str] | None:
        """Return moment of acceptance and name of the job whose turn it is in this environment."""
        owners = [
            entry for entry in self._owners[environment].values() if entry.waiting and entry.may(room, now)
        ]
        # Only owners who wait are compared: an absent owner's few starts would be held against all others.
        had = [entry.since(now - RECENT_SECONDS) for entry in owners]
        least, most = min(had, default=0), room.places // 2
        # Fewest running first (recent lead included, up to half the places), then the one served longest ago,
        # then the job that waited longest.
        turns = (
            (entry.running + min(count - least, most), entry.served, entry.waiting[0])
            for entry, count in zip(owners, had, strict=True)
        )
        return min(turns)[2] if owners else None

    def _used(self) -> ResourceRequest:
        """Return what the running jobs request together."""
        cpu, memory, disk = 0.0, 0, 0
        # By environment, since all jobs of one request the same: this does not grow with their number.
        for name, count in self._busy.items():
            demand = self._rooms[name].demand
            cpu, memory, disk = (
                cpu + count * demand.cpu,
                memory + count * demand.memory,
                disk + count * demand.disk,
            )
        return ResourceRequest(cpu, memory, disk)

    # -- inside

    def _owner(self, environment: str, owner: str) -> OwnerUsage:
        """Return the owner's usage of an environment; one that is not known yet has none."""
        return self._owners[environment].setdefault(owner, OwnerUsage())

    def _leave(self, job: str) -> _JobState | None:
        """Take the job out of the counts and the line; return where it was."""
        standing = self._standings.pop(job, None)
        if standing is None:
            return None
        entry = self._owner(standing.environment, standing.owner)
        if standing.holds:
            entry.running -= 1
            self._busy[standing.environment] -= 1
        elif standing.waits:
            # The list is sorted by exactly this pair, so bisection finds the entry itself.
            del entry.waiting[bisect_left(entry.waiting, (standing.accepted, job))]
        return standing
