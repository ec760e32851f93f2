"""Finds the API server and our credentials: from inside a pod, or from a kubeconfig."""

from __future__ import annotations

import atexit
import base64
import os
import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from c2d_box.errors import StateProblem
from c2d_box.strict_yaml import parse_yaml

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


@dataclass(frozen=True, slots=True)
class ClusterConnection:
    """An API server's address and our credentials. ``token_file`` is read anew for every request: the kubelet
    rotates it.
    """

    server: str
    tls: ssl.SSLContext
    ca_file: Path | None = None
    token_file: Path | None = None
    certificate: tuple[Path, Path] | None = None

    def authorization(self) -> dict[str, str]:
        if self.token_file is None:
            return {}
        return {"Authorization": f"Bearer {self.token_file.read_text().strip()}"}


def find_connection(kubeconfig: Path | None = None) -> ClusterConnection:
    """Return the connection of an explicit kubeconfig, else of the pod's service account, else of
    ``$KUBECONFIG``.
    """
    if kubeconfig is not None:
        return from_kubeconfig(kubeconfig)
    if (ACCOUNT / "token").exists():
        return in_cluster()
    named = os.environ.get("KUBECONFIG")
    if named:
        return from_kubeconfig(Path(named))
    raise StateProblem(
        "C2D-CLUSTER-UNKNOWN",
        "There is neither a service account of a pod nor a kubeconfig.",
        "Run this inside the cluster or set KUBECONFIG.",
    )


def in_cluster() -> ClusterConnection:
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    authority = ACCOUNT / "ca.crt"
    return ClusterConnection(
        server=f"https://{f'[{host}]' if ':' in host else host}:{port}",
        tls=ssl.create_default_context(cafile=str(authority)),
        ca_file=authority,
        token_file=ACCOUNT / "token",
    )


def from_kubeconfig(path: Path) -> ClusterConnection:
    """Return the connection of the current context; client certificates or a token file, as files
    or inline."""
    config = parse_yaml(path.read_bytes())
    context = _named(config["contexts"], config["current-context"])["context"]
    cluster = _named(config["clusters"], context["cluster"])["cluster"]
    user = _named(config["users"], context["user"])["user"]
    authority = _file(cluster, "certificate-authority", path)
    tls = ssl.create_default_context(cafile=str(authority) if authority else None)
    certificate, key = _file(user, "client-certificate", path), _file(user, "client-key", path)
    token = Path(user["tokenFile"]) if "tokenFile" in user else _file(user, "token", path, encoded=False)
    if certificate and key:
        tls.load_cert_chain(certificate, key)
    return ClusterConnection(
        server=cluster["server"].rstrip("/"),
        tls=tls,
        ca_file=authority,
        token_file=token,
        certificate=(certificate, key) if certificate and key else None,
    )


def _named(entries: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return next(entry for entry in entries if entry["name"] == name)


def _file(section: dict[str, Any], key: str, beside: Path, *, encoded: bool = True) -> Path | None:
    """Return the file that ``key`` names, or a private file with its inline data that is removed at exit."""
    if encoded and key in section:
        return beside.parent / str(section[key])
    data = section.get(f"{key}-data" if encoded else key)
    if data is None:
        return None
    content = base64.b64decode(data) if encoded else data.encode()
    handle, name = tempfile.mkstemp(prefix="c2d-kube-")
    atexit.register(Path(name).unlink, missing_ok=True)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
    return Path(name)
