"""Reading jobs: from the watch's copy, indexed by owner and order; what is gone from there, from history."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from pydantic import ValidationError

from c2d_box.operator_service.arguments import Refusal
from c2d_box.operator_service.database import Database
from c2d_box.workflow import jobtable, resource, wire
from c2d_box.workflow.cluster import Object
from c2d_box.workflow.informer import Informer
from c2d_box.workflow.resource import WorkFlow

log = logging.getLogger(__name__)
LISTED = 1000
"""A list has so many entries at most, the newest."""


class Jobs:
    def __init__(self, informer: Informer, database: Database) -> None:
        self._database = database
        self._jobs: dict[str, WorkFlow] = {}
        self._by_owner: dict[str, set[str]] = {}
        self._by_agreement: dict[str, set[str]] = {}
        self._listeners: set[Callable[[WorkFlow], None]] = set()
        self._informer = informer
        informer.listen(self._changed)

    @property
    def ready(self) -> bool:
        return self._informer.synced.is_set()

    def get(self, job: str) -> WorkFlow | None:
        return self._jobs.get(job)

    def put(self, body: Object) -> WorkFlow:
        """Takes what a write answered, so that it is seen at once."""
        self._informer.put(body)
        return resource.parse(body)

    def all(self) -> list[WorkFlow]:
        return list(self._jobs.values())

    def unfinished(self, agreement: str | None = None) -> list[WorkFlow]:
        chosen = self.all() if agreement is None else self._named(self._by_agreement.get(agreement, set()))
        return [job for job in chosen if not job.finished]

    def running(self, environment: str) -> int:
        return sum(
            1
            for job in self._jobs.values()
            if job.spec.environment == environment and job.at("admitted") and not job.finished
        )

    async def find(
        self, *, job: str | None, agreement: str | None, owner: str | None
    ) -> list[dict[str, Any]]:
        """Status objects, newest first; filters are AND-ed, the owner's in any letter case."""
        if job is not None:
            candidates = self._named({job})
        elif agreement is not None:
            candidates = self._named(self._by_agreement.get(agreement, set()))
        else:
            candidates = self._named(self._by_owner.get((owner or "").lower(), set()))
        present = [
            entry
            for entry in candidates
            if (agreement is None or entry.spec.agreement_id == agreement)
            and (owner is None or entry.spec.owner.lower() == owner.lower())
        ]
        present.sort(key=lambda entry: entry.at("accepted") or 0.0, reverse=True)
        found = [wire.status(entry) for entry in present[:LISTED]]
        if job is not None and found:
            return found
        return found + await self._gone(job, agreement, owner, len(found))

    async def _gone(
        self, job: str | None, agreement: str | None, owner: str | None, have: int
    ) -> list[dict[str, Any]]:
        """What only history knows. Without PostgreSQL there is no history, and that is no reason to
        know nothing.
        """
        try:
            async with self._database.session() as session:
                rows = await jobtable.history(
                    session, job=job, agreement=agreement, owner=owner, limit=LISTED
                )
        except Refusal:
            return []
        fresh = [row for row in rows if row["jobId"] not in self._jobs]
        return fresh[: max(0, LISTED - have)]

    def listen(self, listener: Callable[[WorkFlow], None]) -> Callable[[], None]:
        self._listeners.add(listener)
        return lambda: self._listeners.discard(listener)

    def _named(self, names: set[str]) -> list[WorkFlow]:
        return [self._jobs[name] for name in names if name in self._jobs]

    def _changed(self, body: Object, deleted: bool) -> None:
        name = body["metadata"]["name"]
        known = self._jobs.pop(name, None)
        if known is not None:
            self._by_owner.get(known.spec.owner.lower(), set()).discard(name)
            self._by_agreement.get(known.spec.agreement_id, set()).discard(name)
        if deleted:
            return
        try:
            workflow = resource.parse(body)
        except ValidationError:
            log.error("not a workflow, left alone", extra={"job": name})
            return
        self._jobs[name] = workflow
        self._by_owner.setdefault(workflow.spec.owner.lower(), set()).add(name)
        self._by_agreement.setdefault(workflow.spec.agreement_id, set()).add(name)
        for listener in list(self._listeners):
            listener(workflow)
