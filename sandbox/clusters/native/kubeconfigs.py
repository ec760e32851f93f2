"""Makes kubeconfig files: one for the administrator, one for each component that speaks to the API server."""

from __future__ import annotations

import base64
import json
from pathlib import Path

API_PORT = 6443


def text(server_ip: str, pki: Path, stem: str, cluster: str) -> str:
    """Return a self-contained kubeconfig (JSON is YAML) for the certificate ``stem``."""
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {
                    "name": cluster,
                    "cluster": {
                        "server": f"https://{server_ip}:{API_PORT}",
                        "certificate-authority-data": _encoded(pki / "ca.crt"),
                    },
                }
            ],
            "users": [
                {
                    "name": stem,
                    "user": {
                        "client-certificate-data": _encoded(pki / f"{stem}.crt"),
                        "client-key-data": _encoded(pki / f"{stem}.key"),
                    },
                }
            ],
            "contexts": [{"name": cluster, "context": {"cluster": cluster, "user": stem}}],
            "current-context": cluster,
        },
        indent=1,
    )


def _encoded(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
