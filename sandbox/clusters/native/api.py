"""Makes the few API server calls that the supervisor needs, over HTTPS with the admin certificate."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from datetime import datetime
from pathlib import Path
from typing import Any

from sandbox.clusters.native.components import AliveCheck, Check, HttpCheck
from sandbox.clusters.native.kubeconfigs import API_PORT

TIMEOUT = 3.0


def tls_context(pki: Path, authority: str, certificate: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(pki / f"{authority}.crt"))
    context.load_cert_chain(pki / f"{certificate}.crt", pki / f"{certificate}.key")
    return context


class Api:
    """A connection to the cluster's API server, opened anew for each call."""

    def __init__(self, node_ip: str, pki: Path) -> None:
        self._node_ip = node_ip
        self._context = tls_context(pki, "ca", "admin")

    def call(
        self, method: str, path: str, body: Any = None, kind: str = "application/json"
    ) -> tuple[int, Any]:
        """Return the status and parsed answer of a call. Raises OSError where nobody answers."""
        connection = http.client.HTTPSConnection(
            self._node_ip, API_PORT, context=self._context, timeout=TIMEOUT
        )
        try:
            text = None if body is None else json.dumps(body)
            connection.request(method, path, text, {"Content-Type": kind})
            answer = connection.getresponse()
            data = answer.read()
        except http.client.HTTPException as cause:
            raise OSError(str(cause)) from cause
        finally:
            connection.close()
        try:
            return answer.status, json.loads(data)
        except ValueError:
            return answer.status, None

    def create(self, path: str, body: Any) -> bool:
        """Create an object unless it exists; return False when the server is not ready for it."""
        status, _ = self.call("POST", path, body)
        return status in (200, 201, 409)

    def node_is_ready(self, name: str, since: datetime) -> bool:
        """Return whether the node is Ready by a report made after ``since``: a report from before a restart
        does not count.
        """
        status, node = self.call("GET", f"/api/v1/nodes/{name}")
        if status != 200:
            return False
        conditions = node.get("status", {}).get("conditions", [])
        return any(
            item["type"] == "Ready"
            and item["status"] == "True"
            and datetime.fromisoformat(item["lastHeartbeatTime"]) >= since
            for item in conditions
        )

    def mark_pods_unready(self, node: str) -> int:
        """Set every pod that claims to be ready to not ready; return their number.

        Called after a restart of the node, before its kubelet reports: nothing runs yet, and a client that
        waits for a pod must not believe a state from before the restart.
        """
        status, pods = self.call("GET", f"/api/v1/pods?fieldSelector=spec.nodeName%3D{node}")
        claiming = [pod["metadata"] for pod in pods["items"] if _claims_ready(pod)] if status == 200 else []
        wrong = [
            {"type": kind, "status": "False", "reason": "NodeRestarted"}
            for kind in ("Ready", "ContainersReady")
        ]
        for pod in claiming:
            path = f"/api/v1/namespaces/{pod['namespace']}/pods/{pod['name']}/status"
            self.call(
                "PATCH", path, {"status": {"conditions": wrong}}, "application/strategic-merge-patch+json"
            )
        return len(claiming)


def _claims_ready(pod: dict[str, Any]) -> bool:
    conditions = pod.get("status", {}).get("conditions", [])
    return any(item["type"] == "Ready" and item["status"] == "True" for item in conditions)


def holds(check: Check, pki: Path) -> bool:
    """Return whether a component's readiness check holds right now."""
    if isinstance(check, AliveCheck):
        return True
    try:
        return _answers(check, pki) if isinstance(check, HttpCheck) else _connects(check.path, check)
    except (OSError, http.client.HTTPException):
        return False


def _connects(path: str, check: Any) -> bool:
    if path:
        with socket.socket(socket.AF_UNIX) as unix:
            unix.settimeout(TIMEOUT)
            unix.connect(path)
            return True
    with socket.create_connection((check.host, check.port), TIMEOUT):
        return True


def _answers(check: HttpCheck, pki: Path) -> bool:
    connection: http.client.HTTPConnection
    if check.certificate:
        context = tls_context(pki, check.authority, check.certificate)
        connection = http.client.HTTPSConnection(check.host, check.port, context=context, timeout=TIMEOUT)
    else:
        connection = http.client.HTTPConnection(check.host, check.port, timeout=TIMEOUT)
    try:
        connection.request("GET", check.path)
        return connection.getresponse().status == 200
    finally:
        connection.close()
