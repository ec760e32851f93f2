"""The places of the environments: who holds one, and who may come in next.

A place is given and reserved in one breath, so that two jobs that are looked at together never get the
same one, however long it takes until the first is recorded as admitted.
"""

from __future__ import annotations

from c2d_box.operator_engine import admission
from c2d_box.operator_engine.admission import Demand, Room
from c2d_box.operator_engine.settings import Settings
from c2d_box.operator_engine.world import World
from c2d_box.workflow.resource import WorkFlow

OWN_CPU, OWN_MEMORY = 0.08, 192 << 20
"""What the four containers of ours in a job request together."""


class Places:
    def __init__(self, world: World, settings: Settings) -> None:
        self._world = world
        self._reserved: set[str] = set()
        self._rooms = {
            entry.id: Room(
                entry.max_jobs,
                Demand(
                    entry.cpu_number * settings.cpu_request + OWN_CPU,
                    int(entry.ramGB * (1 << 30)) + OWN_MEMORY,
                ),
            )
            for entry in settings.environments
        }
        limit = settings.capacity
        self._capacity = None if limit is None else Demand(limit.cpu, int(limit.memory_gb * (1 << 30)))

    def take(self, workflow: WorkFlow) -> bool:
        """May this job start? If so, its place is reserved."""
        if workflow.at("admitted") is not None or workflow.finished:
            return False
        if workflow.job not in self._reserved and workflow.job in self._next():
            self._reserved.add(workflow.job)
        return workflow.job in self._reserved

    def free(self, job: str) -> set[str]:
        """Gives the job's place back; returns who may come in now."""
        self._reserved.discard(job)
        return self._next()

    def held(self) -> dict[str, int]:
        """How many places of each environment are taken."""
        count: dict[str, int] = {}
        for workflow in self._world.workflows():
            if workflow.at("admitted") is not None and workflow.at("cleaned") is None:
                count[workflow.spec.environment] = count.get(workflow.spec.environment, 0) + 1
        return count

    def _next(self) -> set[str]:
        return admission.admit(
            self._world.workflows(), self._rooms, self._capacity, frozenset(self._reserved)
        )
