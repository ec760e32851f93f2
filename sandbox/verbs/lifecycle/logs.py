"""Logs of everything in the box: cluster components from their files, services and job pods through
Kubernetes.
"""

from __future__ import annotations

from collections.abc import Iterator

from c2d_box.errors import UsageError
from c2d_box.kubernetes.sync_client import KubeApi
from sandbox.box import Box
from sandbox.install.chart_values import NAMESPACE, SERVICES
from sandbox.install.readiness import pods_behind


def stream_logs(box: Box, source: str, *, lines: int = 200, follow: bool = False) -> Iterator[str]:
    """Yield the log lines of a component or service called ``source``. Raises ``C2D-LOG-UNKNOWN``.

    Only services can be followed: components' logs are files, read once.
    """
    if source in SERVICES:
        return _service_logs(box, source, lines, follow)
    components = [component.name for component in box.cluster.status().components]
    if source not in components:
        known = ", ".join([*SERVICES, *components])
        raise UsageError("C2D-LOG-UNKNOWN", f"nothing here is called {source}", f"one of: {known}")
    return iter(box.cluster.read_logs(source, lines).splitlines())


def _service_logs(box: Box, service: str, lines: int, follow: bool) -> Iterator[str]:
    with box.kube_api() as kube:
        yield from service_lines(kube, service, lines, follow)


def service_lines(kube: KubeApi, service: str, lines: int, follow: bool) -> Iterator[str]:
    """Yield the lines of a service's pods; when following, of its first pod."""
    for pod in pods_behind(kube, NAMESPACE, service):
        path = f"/api/v1/namespaces/{NAMESPACE}/pods/{pod['metadata']['name']}/log"
        # The first container is the service; others are helpers of the pod.
        query = {"tailLines": str(lines), "container": pod["spec"]["containers"][0]["name"]}
        if follow:
            yield from kube.lines(path, **query, follow="true")
            return
        yield from kube.text(path, **query).splitlines()
