"""``pods``: shows what Kubernetes runs for this box: pods, WorkFlows, events, logs and YAML, and changes.

For people to read: the same answers as ``kubectl``'s, as values.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import yaml

from c2d_box.errors import UsageError
from c2d_box.kubernetes.sync_client import KubeApi, Object
from c2d_box.workflow import names
from sandbox.box import Box

JOB_LABEL, PART_LABEL, JOBS = names.LABEL_JOB, names.LABEL_COMPONENT, names.JOBS_NAMESPACE
GROUP = f"/apis/{names.API_VERSION}"
WORKFLOWS = names.workflows_path(JOBS)
# Fields that only machines read: the bookkeeping of server-side apply.
SECRETIVE = ("managedFields",)
# The API server ends a watch after that many seconds; it is then resumed where it was.
WATCH_SECONDS = 240


@dataclass(frozen=True, slots=True)
class PodSummary:
    """A pod. ``state`` is worded like kubectl's; ``containers`` by name, in order; ``at`` is Unix seconds."""

    namespace: str
    name: str
    state: str
    ready: str
    restarts: int
    at: float
    ip: str
    containers: tuple[str, ...]
    job: str = ""
    part: str = ""


@dataclass(frozen=True, slots=True)
class WorkflowSummary:
    """A WorkFlow object in short."""

    name: str
    status: str
    at: float
    owner: str
    environment: str


@dataclass(frozen=True, slots=True)
class EventSummary:
    """A Kubernetes event about an object."""

    at: float
    kind: str
    reason: str
    about: str
    text: str


def list_pods(box: Box, job_id: str = "") -> list[PodSummary]:
    """Return all pods of the box, or those of one job; youngest first. The label is set by the engine on
    every pod of a job.
    """
    query = {"labelSelector": f"{JOB_LABEL}={job_id}"} if job_id else {}
    path = f"/api/v1/namespaces/{JOBS}/pods" if job_id else "/api/v1/pods"
    with box.kube_api() as kube:
        found = [_pod_summary(item) for item in kube.items(path, **query)]
    return sorted(found, key=lambda pod: (-pod.at, pod.name))


def list_workflows(box: Box) -> list[WorkflowSummary]:
    """Return all WorkFlow objects, youngest first."""
    with box.kube_api() as kube:
        found = [_workflow_summary(item) for item in kube.items(WORKFLOWS)]
    return sorted(found, key=lambda flow: -flow.at)


def describe_object(box: Box, kind: str, namespace: str, name: str) -> str:
    """Return an object as YAML, without the fields that only machines read. ``kind`` is ``pod`` or
    ``workflow``.
    """
    root = "/api/v1" if kind == "pod" else GROUP
    with box.kube_api() as kube:
        found = kube.get(f"{root}/namespaces/{namespace}/{kind}s/{name}")
    if found is None:
        raise UsageError("C2D-CLUSTER-NONE", f"there is no {kind} {name} any more", box.command_line("pods"))
    # The object was read for this, so it may be changed in place.
    for noise in SECRETIVE:
        found.get("metadata", {}).pop(noise, None)
    return str(yaml.safe_dump(found, sort_keys=False, width=100, allow_unicode=True))


def list_events(box: Box, job_id: str = "") -> list[EventSummary]:
    """Return Kubernetes' events, of the whole box or about one job's objects; oldest first."""
    path = f"/api/v1/namespaces/{JOBS}/events" if job_id else "/api/v1/events"
    with box.kube_api() as kube:
        found = [_event_summary(item) for item in kube.items(path)]
    about = [seen for seen in found if job_id in seen.about]
    return sorted(about, key=lambda seen: seen.at)


def follow_container(box: Box, namespace: str, pod: str, container: str, lines: int = 500) -> Iterator[str]:
    """Yield a container's log lines as they come, until it ends; through the kubelet, as the pod has no
    network.
    """
    path = f"/api/v1/namespaces/{namespace}/pods/{pod}/log"
    with box.kube_api() as kube:
        yield from kube.lines(path, container=container, tailLines=str(lines), follow="true")


def watch_jobs(box: Box) -> Iterator[str]:
    """Yield the id of a job whenever its WorkFlow changes, so that a screen of jobs need not poll.

    The first value is the empty string, once the watch stands. Ends when the API server has forgotten the
    version; the caller then lists and watches again.
    """
    with box.kube_api() as kube:
        # One object is enough: the list's resourceVersion is where the watch begins.
        listed = kube.get(WORKFLOWS, limit="1") or {}
        version = str(listed.get("metadata", {}).get("resourceVersion", ""))
        yield ""
        while True:
            version = yield from _watch_workflows(kube, version)
            if not version:
                return


def _watch_workflows(kube: KubeApi, version: str) -> Generator[str, None, str]:
    """Watch until the server ends the request; return the version to go on from, or the empty string after an
    error.
    """
    query = {"watch": "true", "resourceVersion": version, "timeoutSeconds": str(WATCH_SECONDS)}
    for line in kube.lines(WORKFLOWS, **query, allowWatchBookmarks="true"):
        change = json.loads(line)
        # 410 Gone: changes since that version are no longer kept (Kubernetes API concepts, watches).
        if change.get("type") == "ERROR":
            return ""
        metadata = change["object"]["metadata"]
        version = str(metadata["resourceVersion"])
        # Bookmarks only advance the version, so that a quiet watch does not become too old to resume.
        if change.get("type") != "BOOKMARK":
            yield str(metadata["name"])
    return version


def _pod_summary(item: Object) -> PodSummary:
    metadata, status, spec = item["metadata"], item.get("status", {}), item["spec"]
    states = status.get("containerStatuses", [])
    labels = metadata.get("labels", {})
    return PodSummary(
        str(metadata["namespace"]),
        str(metadata["name"]),
        _pod_state(metadata, status, states),
        f"{sum(bool(each.get('ready')) for each in states)}/{len(spec['containers'])}",
        sum(int(each.get("restartCount", 0)) for each in states),
        _unix_seconds(metadata.get("creationTimestamp")),
        str(status.get("podIP", "")),
        tuple(str(c["name"]) for c in [*spec.get("initContainers", []), *spec["containers"]]),
        str(labels.get(JOB_LABEL, "")),
        str(labels.get(PART_LABEL, "")),
    )


def _pod_state(metadata: Mapping[str, Any], status: Mapping[str, Any], states: list[Object]) -> str:
    """Return a pod's state as kubectl's STATUS column has it: deletion first, then a container's reason, then
    the phase.
    """
    if metadata.get("deletionTimestamp"):
        return "Terminating"
    for each in states:
        state = each.get("state") or {}
        for kind in ("waiting", "terminated"):
            reason = str((state.get(kind) or {}).get("reason") or "")
            # A container that ended well says nothing about a pod whose other containers still run.
            if reason and reason != "Completed":
                return reason
    return str(status.get("reason") or status.get("phase") or "Unknown")


def _workflow_summary(item: Object) -> WorkflowSummary:
    status, spec = item.get("status") or {}, item.get("spec") or {}
    text = f"{status.get('code', '')} {status.get('text', '')}".strip()
    return WorkflowSummary(
        str(item["metadata"]["name"]),
        text or "new",
        _unix_seconds(item["metadata"].get("creationTimestamp")),
        str(spec.get("owner", "")),
        str(spec.get("environment", "")),
    )


def _event_summary(item: Object) -> EventSummary:
    """Return an event in short. ``lastTimestamp`` is empty in events of the newer API, which fill
    ``eventTime``.
    """
    at = item.get("lastTimestamp") or item.get("eventTime") or item["metadata"].get("creationTimestamp")
    return EventSummary(
        _unix_seconds(at),
        str(item.get("type", "")),
        str(item.get("reason", "")),
        str((item.get("involvedObject") or {}).get("name", "")),
        str(item.get("message", "")),
    )


def _unix_seconds(value: Any) -> float:
    return datetime.fromisoformat(str(value)).timestamp() if value else 0.0
