"""Each way in which a pod is kept from being ready has its words, in ``status`` and when ``up`` gives up."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.pod_states import why_not_ready

EVICTED = {
    "phase": "Failed",
    "reason": "Evicted",
    "message": "The node was low on resource: ephemeral-storage.",
}
PRESSURE = {
    "phase": "Pending",
    "conditions": [
        {
            "type": "PodScheduled",
            "status": "False",
            "reason": "Unschedulable",
            "message": "0/1 nodes are available: 1 node(s) had untolerated taint(s) "
            "{node.kubernetes.io/disk-pressure: }.",
        }
    ],
}
LITTLE_MEMORY = {
    "phase": "Pending",
    "conditions": [{"type": "PodScheduled", "status": "False", "message": "0/1: Insufficient memory."}],
}


def running(ready: str, **container: Any) -> dict[str, Any]:
    state = {"name": "provider", "state": {"running": {}}, "ready": ready == "True", **container}
    conditions = [{"type": "Ready", "status": ready}]
    return {"phase": "Running", "conditions": conditions, "containerStatuses": [state]}


OOM = {"terminated": {"reason": "OOMKilled", "exitCode": 137}}
NEVER = {"waiting": {"reason": "ErrImageNeverPull", "message": "it is not present"}}
BACKOFF = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 40s"}}


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (EVICTED, "Evicted: The node was low on resource: ephemeral-storage."),
        (PRESSURE, "not scheduled: the disk is full; free some space: 0/1 nodes are available"),
        (LITTLE_MEMORY, "not scheduled: 0/1: Insufficient memory."),
        (running("False"), "it runs, and its readiness check fails"),
        (running("False", state=OOM), "provider ended with OOMKilled (it needed more memory than it has)"),
        (running("False", lastState=OOM), "provider was ended before: OOMKilled"),
        (running("False", state=NEVER), "ErrImageNeverPull: it is not present"),
        (running("False", state=BACKOFF, lastState=OOM), "back-off 40s; it ended before with OOMKilled"),
        ({"phase": "Pending"}, "its containers are not created yet"),
        (running("True"), ""),
    ],
)
def test_a_cause_is_named(status: dict[str, Any], words: str) -> None:
    found = why_not_ready({"status": status})
    assert found.startswith(words) or words in found
    assert bool(found) == bool(words)
