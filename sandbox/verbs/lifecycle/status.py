"""``status``: shows what runs where and how healthy it is. Reads only; works on a stopped box too, and needs
no root.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from c2d_box.errors import C2DError
from c2d_box.kubernetes.sync_client import KubeApi, Object
from sandbox.box import Box
from sandbox.install import isolation
from sandbox.install.chart_values import NAMESPACE, services_of
from sandbox.install.readiness import pods_by_service, ready_endpoints
from sandbox.pod_states import why_not_ready

_TELLING = {"cache": 5000}
"""Services whose ``/readyz`` gives a reason, with the port to ask."""


@dataclass(frozen=True, slots=True)
class BoxPart:
    """A component of the cluster or a service of ours."""

    name: str
    kind: str
    """``cluster`` or ``service``."""
    state: str
    restarts: int = 0
    url: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class BoxStatus:
    """The state of the box and of each of its parts."""

    name: str
    home: Path
    state: str
    """``absent``, ``stopped``, ``starting``, ``running``, ``degraded``, ``stopping`` or ``failed``."""
    parts: tuple[BoxPart, ...]
    urls: Mapping[str, str]
    versions: Mapping[str, str]
    kubeconfig: Path
    settings: Mapping[str, str] = field(default_factory=dict)
    detail: str = ""


@dataclass(frozen=True, slots=True)
class ResourceReport:
    """The memory of the box: proportional set size (shared pages counted once in all) of every process, in
    bytes.
    """

    total_bytes: int
    by_process: Mapping[str, int]


def status(box: Box) -> BoxStatus:
    """Return the state of everything, as seen now. Never raises for a service that is down: that is a
    state.
    """
    cluster = box.cluster.status()
    parts = [BoxPart(c.name, "cluster", c.state, c.restarts, detail=c.last_error) for c in cluster.components]
    state = str(cluster.state)
    if state in ("running", "degraded"):
        services = _service_parts(box)
        parts += services
        # The cluster reports its own components only; the box is not well while a service of ours is not.
        if state == "running" and any(part.state != "ready" for part in services):
            state = "degraded"
    return BoxStatus(
        box.name,
        box.home.path,
        state,
        tuple(parts),
        box.service_urls,
        _box_versions(),
        box.home.kubeconfig,
        {
            "trust.emptyLists": box.settings.trust_empty_lists,
            "barge keys": "yes" if box.settings.barge_keys else "no",
            **({"unproven jobs": "RUN, as the operator said"} if box.settings.unproven_jobs else {}),
            **({"values": "set by hand, by the box file"} if box.settings.values else {}),
            **_isolation_finding(box, state),
        },
        cluster.detail,
    )


def _isolation_finding(box: Box, state: str) -> dict[str, str]:
    """Return what the canary found at this boot."""
    found = isolation.load_finding(box.home.path) if state in ("running", "degraded") else None
    return {"isolation": found.summary_text} if found else {}


def resource_report(box: Box) -> ResourceReport:
    """Return the memory of the box: supervisor, components and pods."""
    seen = box.cluster.resource_usage()
    ordered = sorted(seen.by_process.items(), key=lambda item: -item[1])
    return ResourceReport(seen.pss_bytes, dict(ordered))


def _service_parts(box: Box) -> list[BoxPart]:
    """Return the services' states; all ``unknown`` where the API server does not answer."""
    try:
        with box.kube_api() as kube:
            ready, pods = ready_endpoints(kube, NAMESPACE), pods_by_service(kube, NAMESPACE)
            own = {
                name: _own_reason(kube, name, pods.get(name, [])) for name in _TELLING if name not in ready
            }
        return [
            _service_part(box, name, name in ready, pods.get(name, []), own.get(name, ""))
            for name in services_of(box)
        ]
    except C2DError as problem:
        return [BoxPart(name, "service", "unknown", detail=problem.message) for name in services_of(box)]


def _own_reason(kube: KubeApi, name: str, pods: list[Object]) -> str:
    """Return why a running service reports itself as not ready; Kubernetes keeps only that a probe failed."""
    # The newest pod: older ones are those of a rollout that is ending.
    for pod in pods[-1:]:
        # Through the API server's proxy, as a pod that is not ready has no address behind its Service.
        place = f"{pod['metadata']['name']}:{_TELLING[name]}"
        answer = kube.said(f"/api/v1/namespaces/{NAMESPACE}/pods/{place}/proxy/readyz")
        if isinstance(answer.get("reason"), str) and "ready" in answer:
            return str(answer["reason"])
    return ""


def _service_part(box: Box, name: str, ready: bool, pods: list[Object], own_reason: str) -> BoxPart:
    # IPFS has two addresses; its part shows the gateway's.
    url = box.service_urls.get(name, box.service_urls.get(f"{name}-gateway", ""))
    containers = [c for pod in pods for c in pod.get("status", {}).get("containerStatuses", [])]
    restarts = sum(int(container.get("restartCount", 0)) for container in containers)
    state = "ready" if ready else "starting" if pods else "absent"
    detail = own_reason or "; ".join(map(why_not_ready, pods[-1:]))
    return BoxPart(name, "service", state, restarts, url, "" if ready else detail)


def _box_versions() -> dict[str, str]:
    """Return versions by name; the bundle may be absent, or made by another release."""
    versions = {}
    try:
        versions["c2d-box"] = version("c2d-box")
    except PackageNotFoundError:
        versions["c2d-box"] = "unknown"
    try:
        from sandbox.bundle import Bundle

        versions["kubernetes"] = str(Bundle.open_cached(["kube"]).kubernetes_version)
    except Exception:
        versions["kubernetes"] = "no bundle"
    return versions
