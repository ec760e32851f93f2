"""Kills one part of a running box as a crash would: SIGKILL to its processes, unannounced."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

from c2d_box.kubernetes.sync_client import KubeApi
from sandbox.box import Box

SERVICES = ("operator-service", "operator-engine", "provider", "postgres", "ipfs", "s3", "chain")
"""Parts that are Deployments in the services' namespace."""
NODE = {"api-server": "kube-apiserver", "etcd": "etcd", "containerd": "containerd", "kubelet": "kubelet"}
"""Parts that are the cluster's own processes, with the name that the driver gives them."""
STAGES = {
    "configuration": ("configuration", None),
    "gate": ("algorithm", "algorithm"),
    "publishing": ("publishing", None),
}
"""Parts of the job: pod, and its container if not all containers are killed."""
PARTS = (*SERVICES, *STAGES, *NODE)


def kill_part(box: Box, kube: KubeApi, part: str, job: str) -> int:
    """Kill the processes that ``part`` has at this moment; return how many there were."""
    if part in NODE:
        pids = [
            entry.pid
            for entry in box.cluster.status().components
            if entry.name in (part, NODE[part]) and entry.pid
        ]
    elif part in SERVICES:
        pids = _of_pods(kube, "c2d", {"labelSelector": f"app.kubernetes.io/name={part}"}, None)
    else:
        component, container = STAGES[part]
        selector = f"c2d.oceanprotocol.com/job={job},app.kubernetes.io/component={component}"
        query = {"labelSelector": selector}
        pids = _of_pods(kube, "c2d-jobs", query, container) if container else _program_pids(kube, query)
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return len(pids)


def renew_part(kube: KubeApi, part: str) -> None:
    """Give a killed service a fresh pod, or the kubelet's back-off would grow with each kill."""
    if part in SERVICES:
        for pod in _list_pods(kube, "c2d", {"labelSelector": f"app.kubernetes.io/name={part}"}):
            kube.delete(f"/api/v1/namespaces/c2d/pods/{pod['metadata']['name']}?gracePeriodSeconds=0")


def wait_healthy(box: Box, kube: KubeApi, seconds: float = 180.0) -> None:
    """Wait until every service and every component is ready again."""
    deadline = time.monotonic() + seconds
    while not _is_healthy(box, kube):
        assert time.monotonic() < deadline, f"the box did not recover: {box.cluster.status()}"
        time.sleep(0.5)


def _is_healthy(box: Box, kube: KubeApi) -> bool:
    if box.cluster.status().state != "running" or not kube.ok("/readyz"):
        return False
    deployments = kube.items("/apis/apps/v1/namespaces/c2d/deployments")
    ready = Counter(
        pod["metadata"]["labels"].get("app.kubernetes.io/name")
        for pod in _list_pods(kube, "c2d", {})
        if _is_ready(pod)
    )
    return bool(deployments) and all(
        ready[body["metadata"]["name"]] >= body["spec"].get("replicas", 1) for body in deployments
    )


def _is_ready(pod: dict[str, Any]) -> bool:
    """Return whether the pod itself says Ready; a Deployment still counts a pod that was deleted a moment
    ago.
    """
    conditions = (pod.get("status") or {}).get("conditions") or ()
    ready = any(entry["type"] == "Ready" and entry["status"] == "True" for entry in conditions)
    return ready and "deletionTimestamp" not in pod["metadata"]


def _list_pods(kube: KubeApi, namespace: str, query: dict[str, str]) -> list[dict[str, Any]]:
    return kube.items(f"/api/v1/namespaces/{namespace}/pods", **query)


def _of_pods(kube: KubeApi, namespace: str, query: dict[str, str], container: str | None) -> list[int]:
    """Return the process ids of these pods' containers, without those of the sandboxes."""
    wanted = [
        entry["containerID"].partition("://")[2]
        for pod in _list_pods(kube, namespace, query)
        for entry in (pod.get("status") or {}).get("containerStatuses") or ()
        if entry.get("containerID") and container in (None, entry["name"])
    ]
    return [pid for pid, groups in _control_groups() if any(name in groups for name in wanted)]


def _program_pids(kube: KubeApi, query: dict[str, str]) -> list[int]:
    """Return the process ids of our programs in these pods, found by the pod's control group: a short program
    is over before Kubernetes reports its container id.
    """
    pods = [f"pod{pod['metadata']['uid']}" for pod in _list_pods(kube, "c2d-jobs", query)]
    inside = [pid for pid, groups in _control_groups() if any(pod in groups for pod in pods)]
    return [pid for pid in inside if b"c2d_box.pods" in _command_line(pid)]


def _command_line(pid: int) -> bytes:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def _control_groups() -> list[tuple[int, str]]:
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):
                found.append((int(folder.name), (folder / "cgroup").read_text()))
    return found
