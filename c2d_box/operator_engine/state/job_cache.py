"""The engine's copy of the cluster: each job's workflow, pods and claim, as last seen by watch, list or
write.

The answer of each write is put in ahead of the watch, so a plan never works on a state that its predecessor
has changed. An older version never replaces a newer one, in whatever order changes arrive.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from pydantic import ValidationError

from c2d_box.kubernetes.informer import version_number
from c2d_box.kubernetes.port import CLAIMS, PODS, Object, ResourceKind
from c2d_box.operator_engine.rules import observation
from c2d_box.workflow import names, resource
from c2d_box.workflow.resource import WORKFLOWS, WorkFlow

log = logging.getLogger(__name__)
SELECTORS = {WORKFLOWS: "", PODS: names.LABEL_JOB, CLAIMS: names.LABEL_JOB}
"""The kinds of objects a job consists of, with the label selector that finds those of jobs only."""


@dataclass(slots=True)
class CachedJob:
    """The known objects of one job; ``workflow`` is None while only its pods or claim have been seen."""

    workflow: WorkFlow | None = None
    pods: dict[str, Object] = field(default_factory=dict)
    claim: Object | None = None
    versions: dict[tuple[str, str], int] = field(default_factory=dict)
    """Newest version seen of each object, the deleted ones included."""


class JobCache:
    """The objects of all jobs, indexed by job. Reading it costs no call.

    Versions are compared as numbers. Those of deleted objects are kept while another object of the job is
    known, so that a late event cannot bring one back.
    """

    def __init__(self) -> None:
        self._entries: dict[str, CachedJob] = {}
        self._changed: Callable[[str], None] = lambda job: None
        # Version of the last list of each kind.
        self._listed_at: dict[str, int] = {}

    def listen(self, listener: Callable[[str], None]) -> None:
        """Set the one listener: it is called with a job's name whenever an object of the job has changed."""
        self._changed = listener

    def workflow(self, job: str) -> WorkFlow | None:
        """Return the job's WorkFlow, None where there is none (any more)."""
        entry = self._entries.get(job)
        return entry.workflow if entry else None

    def workflows(self) -> Iterator[WorkFlow]:
        """Yield the WorkFlows of all jobs."""
        for entry in self._entries.values():
            if entry.workflow is not None:
                yield entry.workflow

    def pods(self, job: str) -> tuple[observation.ObservedPod, ...]:
        """Return the job's pods, reduced to what the rules use; pods of earlier attempts are among them."""
        entry = self._entries.get(job)
        return tuple(observation.observe_pod(body) for body in entry.pods.values()) if entry else ()

    def config_maps(self) -> set[str]:
        """Return the names of all ConfigMaps that a job's pod mounts."""
        return {
            volume["configMap"]["name"]
            for entry in self._entries.values()
            for body in entry.pods.values()
            for volume in (body.get("spec") or {}).get("volumes") or ()
            if "configMap" in volume
        }

    def claim(self, job: str) -> tuple[str | None, bool]:
        """Return the claim's phase (None without a claim) and whether it is being deleted."""
        entry = self._entries.get(job)
        if entry is None or entry.claim is None:
            return None, False
        phase = (entry.claim.get("status") or {}).get("phase", "Pending")
        return phase, "deletionTimestamp" in entry.claim["metadata"]

    def put_object(self, kind: ResourceKind, body: Object) -> None:
        """Take an object, unless its version is known already or older than the known one."""
        job, key = _job_of(kind, body), (kind.plural, body["metadata"]["name"])
        if job is None or version_number(body) <= self._version(job, key):
            return
        if kind is WORKFLOWS:
            try:
                workflow = resource.parse_workflow(body)
            except ValidationError as problem:
                first = problem.errors(include_input=False)[0]
                # The place of the fault without its value, which is a consumer's.
                where = {"key": str(first["loc"])[:200], "problem": first["type"]}
                log.error("not a workflow, left alone", extra={"job": job, **where})
                # The version is not noted, so each new list reports the object again.
                return
            self._entry(job).workflow = workflow
        elif kind is PODS:
            self._entry(job).pods[key[1]] = body
        else:
            self._entry(job).claim = body
        self._entry(job).versions[key] = version_number(body)
        self._changed(job)

    def remove_object(self, kind: ResourceKind, body: Object) -> None:
        """Remove a deleted object, unless a newer one of its name is known; older events that come late do
        not bring it back.
        """
        job, key = _job_of(kind, body), (kind.plural, body["metadata"]["name"])
        entry = self._entries.get(job or "")
        # Older than what is known: the event is about a predecessor of the same name.
        if job is None or entry is None or version_number(body) < entry.versions.get(key, -1):
            return
        # Kept after the deletion, so that an older event that comes late finds it.
        entry.versions[key] = version_number(body)
        if kind is WORKFLOWS:
            entry.workflow = None
        elif kind is PODS:
            entry.pods.pop(key[1], None)
        else:
            entry.claim = None
        # With the last object the versions go too: their number must not grow with the jobs of all times.
        if entry.workflow is None and not entry.pods and entry.claim is None:
            del self._entries[job]
        self._changed(job)

    def remove_workflow(self, workflow: WorkFlow) -> None:
        """Remove a workflow of which Kubernetes has answered that it does not exist."""
        metadata = {"name": workflow.name, "resourceVersion": workflow.version}
        self.remove_object(WORKFLOWS, {"metadata": metadata})

    def replace_list(self, kind: ResourceKind, bodies: list[Object], listed_at: int) -> None:
        """Take a complete list: a missing object is gone, unless it is younger than the list (``listed_at``).

        A list older than the last one means that etcd was restored: the versions known so far belong to
        another history, and the list counts whatever they say.
        """
        if listed_at < self._listed_at.get(kind.plural, 0):
            log.warning("Kubernetes went back in time, taking its list", extra={"resource": kind.plural})
            self._forget_versions(kind)
        self._listed_at[kind.plural] = listed_at
        present = {body["metadata"]["name"] for body in bodies}
        for body in self._known(kind):
            name = body["metadata"]["name"]
            # A younger object was made after the list was read.
            if name not in present and self._known_version(kind, body) <= listed_at:
                self.remove_object(kind, body)
        for body in bodies:
            self.put_object(kind, body)

    def _forget_versions(self, kind: ResourceKind) -> None:
        """Forget the versions of a kind, so that any version of its objects is taken."""
        for entry in self._entries.values():
            for key in [key for key in entry.versions if key[0] == kind.plural]:
                del entry.versions[key]

    def _known_version(self, kind: ResourceKind, body: Object) -> int:
        return self._version(_job_of(kind, body) or "", (kind.plural, body["metadata"]["name"]))

    def _known(self, kind: ResourceKind) -> list[Object]:
        """Return the known objects of a kind."""
        if kind is PODS:
            return [body for entry in self._entries.values() for body in entry.pods.values()]
        if kind is CLAIMS:
            return [entry.claim for entry in self._entries.values() if entry.claim is not None]
        # Only what removing needs: the cache keeps WorkFlows parsed.
        return [
            {"metadata": {"name": workflow.name, "uid": workflow.uid, "resourceVersion": workflow.version}}
            for workflow in self.workflows()
        ]

    def _version(self, job: str, key: tuple[str, str]) -> int:
        entry = self._entries.get(job)
        return -1 if entry is None else entry.versions.get(key, -1)

    def _entry(self, job: str) -> CachedJob:
        return self._entries.setdefault(job, CachedJob())


def _job_of(kind: ResourceKind, body: Object) -> str | None:
    """Return the job an object belongs to: a WorkFlow has its name, other objects a label."""
    metadata = body["metadata"]
    if kind is WORKFLOWS:
        name: str = metadata["name"]
        return name
    job: str | None = (metadata.get("labels") or {}).get(names.LABEL_JOB)
    return job
