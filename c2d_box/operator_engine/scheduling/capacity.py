"""The places of the environments: which jobs hold one, and which jobs get the next ones.

A place is one of the ``maxJobs`` that an environment runs at a time. It is chosen and reserved in one step
without an ``await``, so that two jobs that are reconciled together never get the same place, however long it
takes until the first one's admission is in its status.
"""

from __future__ import annotations

from collections.abc import Callable

from c2d_box.operator_engine.scheduling.job_queue import EnvironmentLimits, JobQueue, ResourceRequest
from c2d_box.operator_engine.settings import EngineSettings
from c2d_box.workflow.environments import Environment
from c2d_box.workflow.resource import WorkFlow

OWN_CPU, OWN_MEMORY = 0.10, 240 << 20
"""Cores and bytes that our own five containers of a job request together (where results become an asset)."""
GIB = 1 << 30


class EnvironmentPlaces:
    """Feeds the :class:`JobQueue` with the state of each job and keeps reservations until they are recorded.

    Reservations are in memory only. A job has one from the moment it is chosen until ``admitted`` is seen in
    its status.
    """

    def __init__(self, settings: EngineSettings) -> None:
        self._rooms = {entry.id: _room(entry, settings.cpu_request) for entry in settings.environments}
        limit = settings.capacity
        capacity = (
            None
            if limit is None
            else ResourceRequest(limit.cpu, int(limit.memory_gb * GIB), int(limit.disk_gb * GIB))
        )
        self._queue = JobQueue(self._rooms, capacity)
        # Moment of the choice, by job.
        self._reserved: dict[str, float] = {}

    def update_job(self, job: str, workflow: WorkFlow | None) -> None:
        """Pass the job's state to the queue; ``workflow`` is None where the job is gone."""
        # A job of an environment that is gone takes no place: the plan ends it.
        if workflow is None or workflow.spec.environment not in self._rooms:
            self._reserved.pop(job, None)
            self._queue.remove_job(job)
            return
        # Addresses count in any case: one owner must not pass for two.
        where = (job, workflow.spec.environment, workflow.spec.owner.lower())
        admitted = workflow.at("admitted")
        # A place is kept until the pods and the volume are gone: they still use what the next job would need.
        if workflow.at("cleaned") is not None:
            self._queue.release_place(*where, admitted)
        # On record now, so the reservation has done its work.
        elif admitted is not None:
            self._reserved.pop(job, None)
            self._queue.hold_place(*where, admitted)
        # Ended in the queue: it never held a place, and counts as no start.
        elif workflow.finished or workflow.deleted is not None:
            self._reserved.pop(job, None)
            self._queue.release_place(*where, None)
        # Chosen, and its admission is on its way to the status.
        elif job in self._reserved:
            self._queue.hold_place(*where, self._reserved[job])
        else:
            self._queue.enqueue_job(*where, workflow.at("accepted") or 0.0)

    def admit_next(self, find: Callable[[str], WorkFlow | None], now: float) -> list[str]:
        """Reserve the free places for the jobs whose turn it is; return these jobs."""
        chosen = []
        while (job := self._queue.next_job(now)) is not None:
            # Reserved before the queue is asked again, or it would choose the same job twice.
            self._reserved[job] = now
            self.update_job(job, find(job))
            chosen.append(job)
        return chosen

    def is_reserved(self, job: str) -> bool:
        """Return whether the job was chosen and its admission is not recorded yet."""
        return job in self._reserved

    def release_all(self) -> list[str]:
        """Drop all reservations, as an engine must that stops leading; return the jobs that had one."""
        jobs = list(self._reserved)
        self._reserved.clear()
        return jobs

    def places_held(self) -> dict[str, int]:
        """Return how many places of each environment are taken."""
        return dict(self._queue.holding())

    def jobs_queued(self) -> dict[str, int]:
        """Return how many jobs of each environment wait for a place."""
        return dict(self._queue.waiting())


def _room(entry: Environment, cpu_request: float) -> EnvironmentLimits:
    """Return the environment's limits as the queue counts them: requests of the
    algorithm and of our own containers.
    """
    return EnvironmentLimits(
        places=entry.max_jobs,
        demand=ResourceRequest(
            # What the scheduler counts is the request, a share of the cores; the limit is the whole.
            entry.cpu_number * cpu_request + OWN_CPU,
            int(entry.ramGB * GIB) + OWN_MEMORY,
            int(entry.diskGB * GIB),
        ),
        priority=entry.priority,
        per_owner=entry.max_jobs_per_owner,
        quota=entry.free_quota.jobs if entry.free_quota else None,
        quota_seconds=entry.free_quota.seconds if entry.free_quota else 0,
    )
