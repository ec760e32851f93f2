"""Reads jobs: from the watch's copy, indexed by owner and agreement; deleted ones from the job table.

The copy may be behind by some milliseconds. Where that matters, as for locks, Kubernetes is asked itself.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from c2d_box.kubernetes.informer import Informer
from c2d_box.kubernetes.port import Object
from c2d_box.operator_service.arguments import OperatorRefusal
from c2d_box.operator_service.database import JobDatabase
from c2d_box.workflow import jobtable, ocean_status, resource
from c2d_box.workflow.resource import WorkFlow

log = logging.getLogger(__name__)
LISTED = 1000
"""Most entries of a list; the newest are kept."""


@dataclass(frozen=True, slots=True)
class ListingPage:
    """One page of a list: at most ``limit`` jobs, accepted earlier than ``before`` (Unix seconds, the last
    entry's ``dateCreated``).
    """

    limit: int = LISTED
    before: float | None = None

    @classmethod
    def read_page(cls, arguments: Mapping[str, Any]) -> ListingPage:
        """Read the page from arguments. Raises OperatorRefusal."""
        try:
            limit, before = int(arguments.get("limit", LISTED)), arguments.get("before")
            moment = None if before in (None, "") else float(str(before))
            # "nan" is a number to Python, and compares with nothing.
            if moment is not None and not math.isfinite(moment):
                raise ValueError
        except (TypeError, ValueError, OverflowError):
            raise OperatorRefusal(400, '"limit" and "before" must be numbers') from None
        if not 1 <= limit <= LISTED:
            raise OperatorRefusal(400, f'"limit" must be between 1 and {LISTED}')
        return cls(limit, moment)


class JobIndex:
    """The known jobs. While PostgreSQL is away, those in Kubernetes can still be found."""

    def __init__(self, informer: Informer, database: JobDatabase) -> None:
        self._database = database
        # Two indexes by name: a status request must not walk through all jobs.
        self._jobs: dict[str, WorkFlow] = {}
        self._by_owner: dict[str, set[str]] = {}
        self._by_agreement: dict[str, set[str]] = {}
        self._listeners: set[Callable[[WorkFlow], None]] = set()
        self._informer = informer
        informer.listen(self._note_change)

    @property
    def is_ready(self) -> bool:
        """True while the copy of the jobs follows Kubernetes."""
        return self._informer.is_current

    @property
    def is_listed(self) -> bool:
        """True once all jobs were listed: before that, an unknown job may exist."""
        return self._informer.synced.is_set()

    @property
    def job_count(self) -> int:
        """Number of jobs in Kubernetes, the ended ones included."""
        return len(self._jobs)

    def get_job(self, job: str) -> WorkFlow | None:
        """Return the job as Kubernetes has it, None where it does not (any more)."""
        return self._jobs.get(job)

    def put_job(self, body: Object) -> WorkFlow:
        """Take the answer of a write, so that the change is visible at once."""
        self._informer.put(body)
        return resource.parse_workflow(body)

    def all_jobs(self) -> list[WorkFlow]:
        """Return all jobs in Kubernetes, in no particular order."""
        return list(self._jobs.values())

    def unfinished_jobs(self, agreement: str | None = None) -> list[WorkFlow]:
        """Return the jobs that have not ended, of one order or of all."""
        chosen = (
            self.all_jobs()
            if agreement is None
            else self._jobs_named(self._by_agreement.get(agreement, set()))
        )
        return [job for job in chosen if not job.finished]

    def running_count(self, environment: str) -> int:
        """Return how many jobs hold a place in the environment; queued ones do not count."""
        return sum(
            1
            for job in self._jobs.values()
            if job.spec.environment == environment and job.at("admitted") and not job.finished
        )

    async def find_jobs(
        self,
        *,
        job: str | None,
        agreement: str | None,
        owner: str | None,
        provider: str | None = None,
        page: ListingPage = ListingPage(),
    ) -> list[dict[str, Any]]:
        """Return status objects, newest first; filters are AND-ed, without one all jobs match. The letter
        case of ``owner`` and ``provider`` does not matter.
        """
        # The narrowest index first; the other filters are applied to what it yields.
        # Every filter still applies to one job by its id: an owner's claim has to be true.
        if job is not None:
            candidates = self._jobs_named({job})
        elif agreement is not None:
            candidates = self._jobs_named(self._by_agreement.get(agreement, set()))
        elif owner is not None:
            candidates = self._jobs_named(self._by_owner.get(owner.lower(), set()))
        else:
            candidates = self.all_jobs()
        present = [
            entry
            for entry in candidates
            if (agreement is None or entry.spec.agreement_id == agreement)
            and (owner is None or entry.spec.owner.lower() == owner.lower())
            and (provider is None or is_job_of(entry, provider))
            and (page.before is None or _accepted_time(entry) < page.before)
        ]
        present.sort(key=_accepted_time, reverse=True)
        found = [ocean_status.owner_status(entry) for entry in present[: page.limit]]
        # One job is asked for and is here: the history has nothing to add, and PostgreSQL is not needed.
        if job in self._jobs:
            return found
        try:
            found += await self._past_jobs(job, agreement, owner, provider, page)
        except OperatorRefusal:
            if not found:  # "there is none" is not known without the history
                raise
        # Both sources are sorted, but not their union.
        found.sort(key=lambda entry: float(entry["dateCreated"] or 0), reverse=True)
        return found[: page.limit]

    async def _past_jobs(
        self,
        job: str | None,
        agreement: str | None,
        owner: str | None,
        provider: str | None,
        page: ListingPage,
    ) -> list[dict[str, Any]]:
        """Return jobs that only the job table has; raises OperatorRefusal 503 while PostgreSQL is away."""
        async with self._database.session() as session:
            rows = await jobtable.job_history(
                session,
                job=job,
                agreement=agreement,
                owner=owner,
                provider=provider,
                before=page.before,
                limit=LISTED,
            )
        # A job in Kubernetes has a row as well: only what Kubernetes says of it counts.
        return [row for row in rows if row["jobId"] not in self._jobs]

    def add_listener(self, listener: Callable[[WorkFlow], None]) -> Callable[[], None]:
        """Call ``listener`` with every job that changes; return a function that ends that."""
        self._listeners.add(listener)
        return lambda: self._listeners.discard(listener)

    def _jobs_named(self, names: set[str]) -> list[WorkFlow]:
        """Return the known ones of the named jobs."""
        return [self._jobs[name] for name in names if name in self._jobs]

    def _note_change(self, body: Object, deleted: bool) -> None:
        """Take a change from the watch: the job leaves all indexes and enters them anew.

        Listeners are called on the event loop and must not block.
        """
        name = body["metadata"]["name"]
        known = self._jobs.pop(name, None)
        if known is not None:
            _discard_name(self._by_owner, known.spec.owner.lower(), name)
            _discard_name(self._by_agreement, known.spec.agreement_id, name)
        if deleted:
            return
        try:
            workflow = resource.parse_workflow(body)
        except ValidationError:
            # One object that cannot be read hides only itself.
            log.error("not a workflow, left alone", extra={"job": name})
            return
        self._jobs[name] = workflow
        self._by_owner.setdefault(workflow.spec.owner.lower(), set()).add(name)
        self._by_agreement.setdefault(workflow.spec.agreement_id, set()).add(name)
        # A copy: a listener may end itself while it is called.
        for listener in list(self._listeners):
            listener(workflow)


def is_job_of(workflow: WorkFlow, provider: str) -> bool:
    """Return whether this Provider has started the job."""
    return (workflow.spec.provider_address or "").lower() == provider.lower()


def _discard_name(index: dict[str, set[str]], key: str, name: str) -> None:
    """Remove a job from an index, and the key with its last job: keys of ended jobs would add up."""
    names = index.get(key, set())
    names.discard(name)
    if not names:
        index.pop(key, None)


def _accepted_time(workflow: WorkFlow) -> float:
    """Return the key by which lists are sorted and paged."""
    return workflow.at("accepted") or 0.0
