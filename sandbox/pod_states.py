"""Says in words why a pod is not ready, from the six places of its status where Kubernetes says it."""

from __future__ import annotations

from collections.abc import Iterator

from c2d_box.kubernetes.sync_client import Object

DISK_PRESSURE = "node.kubernetes.io/disk-pressure"
"""Taint that the kubelet puts on its node when space runs short; the scheduler's message quotes it."""


def why_not_ready(pod: Object) -> str:
    """Return the first cause that is known, from the most decisive to the least; empty for a ready pod."""
    return next(_pod_causes(pod), "")


def _pod_causes(pod: Object) -> Iterator[str]:
    """Yield the causes in an order that lets the first be shown alone: what ended the pod for good, then what
    keeps it from a node, then its containers, then the least telling ones.
    """
    status = pod.get("status") or {}
    # The kubelet writes a reason of the whole pod only where it ended the pod itself.
    if status.get("phase") == "Failed" and status.get("reason"):  # Evicted
        yield _reason_text(status)
    conditions = {entry["type"]: entry for entry in status.get("conditions") or ()}
    scheduled = conditions.get("PodScheduled") or {}
    if scheduled.get("status") == "False":
        message = str(scheduled.get("message") or "no node takes it")
        full = "the disk is full; free some space: " if DISK_PRESSURE in message else ""
        yield f"not scheduled: {full}{message}"
    # Init containers first: the others wait for them, so their own state says nothing yet.
    containers = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    for container in containers:
        yield from _container_causes(container)
    if status.get("phase") == "Running" and (conditions.get("Ready") or {}).get("status") == "False":
        yield "it runs, and its readiness check fails"
    if status.get("phase") == "Pending" and not containers:
        yield "its containers are not created yet"


def _container_causes(container: Object) -> Iterator[str]:
    """Yield what one container's state says, with the end of the run before where that explains it."""
    state, last = container.get("state") or {}, container.get("lastState") or {}
    ended = last.get("terminated") or {}
    # CrashLoopBackOff is only the pause; the reason stands in the run before.
    if waiting := state.get("waiting"):
        before = f"; it ended before with {_ending_text(ended)}" if ended else ""
        yield _reason_text(waiting) + before
    terminated = state.get("terminated") or {}
    if terminated and terminated.get("exitCode"):
        yield f"{container.get('name')} ended with {_ending_text(terminated)}"
    # It runs again, but not yet ready: without this line the user would see a slow start and no cause.
    if "running" in state and ended.get("reason") == "OOMKilled" and not container.get("ready"):
        yield f"{container.get('name')} was ended before: {_ending_text(ended)}"


def _ending_text(terminated: Object) -> str:
    reason = str(terminated.get("reason") or "Error")
    text = "OOMKilled (it needed more memory than it has)" if reason == "OOMKilled" else reason
    return f"{text}, exit status {terminated.get('exitCode')}"


def _reason_text(part: Object) -> str:
    return f"{part.get('reason', '')}: {part.get('message', '')}".strip(": ")
