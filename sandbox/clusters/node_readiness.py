"""Asks the API server whether a node is ready. Used by the supervisor of the native node and by kind's
driver.
"""

from __future__ import annotations

from c2d_box import timestamps
from c2d_box.errors import C2DError
from c2d_box.kubernetes.sync_client import KubeApi


def node_is_ready(kube: KubeApi, node: str, since: float) -> bool:
    """Return whether the node is ready; False also where the API server does not answer. ``since`` is in Unix
    seconds: an older report does not count, it may be from before a restart.
    """
    try:
        # None before the kubelet has registered the node.
        found = kube.get(f"/api/v1/nodes/{node}") or {}
    except C2DError:
        return False
    # The status alone would do for a new node. After a restart the API server still holds the last report of
    # the stopped kubelet, and calls the node unknown only after its grace period.
    return any(
        item["type"] == "Ready"
        and item["status"] == "True"
        # Kubernetes writes whole seconds: a report from the same second as `since` must count.
        and timestamps.rfc3339_seconds(item["lastHeartbeatTime"]) >= int(since)
        for item in found.get("status", {}).get("conditions", [])
    )
