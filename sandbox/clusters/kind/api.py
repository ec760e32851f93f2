"""Calls the API server that kind or k3d made: asks for the node's readiness, adjusts kubeadm's components."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from c2d_box.errors import C2DError
from c2d_box.kubernetes.sync_client import KubeApi
from sandbox.clusters.node_readiness import node_is_ready


def _workload_patch(kind: str, container: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return a server-side apply patch of one container of a workload that kubeadm made. Apply changes the
    named fields only, and its list of containers is keyed by name.
    """
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": container["name"], "namespace": "kube-system"},
        "spec": {**more, "template": {"spec": {"containers": [container]}}},
    }


_APPS = "/apis/apps/v1/namespaces/kube-system"
_SETTLED: dict[str, dict[str, Any]] = {
    # Without a share of the processor it is last when a node starts with all its pods at once, and until it
    # has written its rules no pod reaches any Service.
    "daemonsets/kube-proxy": _workload_patch(
        "DaemonSet", {"name": "kube-proxy", "resources": {"requests": {"cpu": "100m"}}}
    ),
    # One resolver is enough for one node, and it need not wait ten seconds to be asked whether it is ready.
    "deployments/coredns": _workload_patch(
        "Deployment", {"name": "coredns", "readinessProbe": {"periodSeconds": 1}}, replicas=1
    ),
}


def api_answers(kubeconfig: Path) -> bool:
    """Return whether the API server is ready; False for every reason why it may not be, within two seconds,
    as ``status`` must never hang.
    """
    try:
        with KubeApi.of(kubeconfig, timeout=2.0) as kube:
            return kube.ok("/readyz")
    except C2DError:
        return False


def reports_ready_node(kubeconfig: Path, node: str, since: float) -> bool:
    """Return whether the node is ready by a report that is not older than ``since`` (Unix seconds)."""
    try:
        with KubeApi.of(kubeconfig, timeout=5.0) as kube:
            return node_is_ready(kube, node, since)
    except C2DError:
        return False


def tune_kubeadm(kubeconfig: Path) -> None:
    """Adjust kubeadm's own components to a machine of two cores; what is not named here stays as it was."""
    # Repeated at no `up` after the first: the changes are in etcd.
    with KubeApi.of(kubeconfig) as kube:
        for path, body in _SETTLED.items():
            kube.apply(f"{_APPS}/{path}", body)
