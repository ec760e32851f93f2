"""Makes the few API server calls that the supervisor needs, over HTTPS with the admin certificate.

The readiness checks use the standard library's HTTP: they run every few hundredths of a second during a boot.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
from pathlib import Path
from typing import Any

import httpx

from c2d_box.errors import Failed
from c2d_box.kubernetes.sync_client import KubeApi
from sandbox.clusters.native.control_plane.components import AliveCheck, Check, HttpCheck
from sandbox.clusters.native.control_plane.kubeconfigs import API_PORT

TIMEOUT = 3.0
"""Seconds for one request or connection."""


def tls_context(pki: Path, authority: str, certificate: str) -> ssl.SSLContext:
    """Return a TLS context that trusts one of the cluster's authorities and shows one of its client
    certificates.
    """
    context = ssl.create_default_context(cafile=str(pki / f"{authority}.crt"))
    context.load_cert_chain(pki / f"{certificate}.crt", pki / f"{certificate}.key")
    return context


def connect_as_admin(node_ip: str, pki: Path) -> KubeApi:
    """Return a client of the cluster's API server. The kubeconfig is not used: it belongs to the box's user,
    and this process is root.
    """
    # The node's address, since there is no loopback to the API server: it listens on this one only.
    server = f"https://{node_ip}:{API_PORT}"
    client = httpx.Client(
        base_url=server, verify=tls_context(pki, "ca", "admin"), timeout=TIMEOUT, trust_env=False
    )
    return KubeApi(client)


def mark_pods_unready(kube: KubeApi, node: str) -> None:
    """Set every pod that claims to be ready to not ready.

    Called after a restart of the node, before its kubelet reports: nothing runs yet, and a client that
    waits for a pod must not believe a state from before the restart.
    """
    # Both: an endpoint becomes ready by "Ready", which the kubelet derives from "ContainersReady".
    wrong = [
        {"type": kind, "status": "False", "reason": "NodeRestarted"} for kind in ("Ready", "ContainersReady")
    ]
    for pod in kube.items("/api/v1/pods", fieldSelector=f"spec.nodeName={node}"):
        if _claims_ready(pod):
            path = f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}/status"
            with contextlib.suppress(Failed):  # it was deleted meanwhile
                # Strategic: conditions are merged by their type; a plain merge patch would replace the whole
                # list.
                kube.merge(path, {"status": {"conditions": wrong}}, strategic=True)


def _claims_ready(pod: dict[str, Any]) -> bool:
    """Return whether the pod's status says that it is ready, whatever is true by now."""
    conditions = pod.get("status", {}).get("conditions", [])
    return any(item["type"] == "Ready" and item["status"] == "True" for item in conditions)


def check_holds(check: Check, pki: Path) -> bool:
    """Return whether a component's readiness check holds right now."""
    if isinstance(check, AliveCheck):
        return True
    try:
        return (
            _answers_ok(check, pki)
            if isinstance(check, HttpCheck)
            else _accepts_connection(check.path, check)
        )
    # Refused, reset, not yet TLS: all of it is a component that still starts.
    except (OSError, http.client.HTTPException):
        return False


def _accepts_connection(path: str, check: Any) -> bool:
    """Return True where the connection is accepted; raise ``OSError`` otherwise."""
    if path:
        with socket.socket(socket.AF_UNIX) as unix:
            unix.settimeout(TIMEOUT)
            unix.connect(path)
            return True
    with socket.create_connection((check.host, check.port), TIMEOUT):
        return True


def _answers_ok(check: HttpCheck, pki: Path) -> bool:
    """Return whether the URL answers 200; raise where there is no answer at all."""
    connection: http.client.HTTPConnection
    if check.certificate:
        # A server whose certificate is not of our authority is not our component, whatever it answers.
        context = tls_context(pki, check.authority, check.certificate)
        connection = http.client.HTTPSConnection(check.host, check.port, context=context, timeout=TIMEOUT)
    else:
        connection = http.client.HTTPConnection(check.host, check.port, timeout=TIMEOUT)
    try:
        connection.request("GET", check.path)
        return connection.getresponse().status == 200
    finally:
        connection.close()
