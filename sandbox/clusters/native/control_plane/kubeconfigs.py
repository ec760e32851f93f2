"""Makes kubeconfig files: one for the administrator, one for each component that speaks to the API server."""

from __future__ import annotations

import base64
import json
from pathlib import Path

API_PORT = 6443
"""Port of the API server, Kubernetes' usual one."""


def kubeconfig_text(server_ip: str, pki: Path, stem: str, cluster: str) -> str:
    """Return a self-contained kubeconfig (JSON is YAML) for the certificate ``stem``.

    Keys are inside, so each file is 0600; the administrator's goes to the box's user, the others stay root's.
    """
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {
                    "name": cluster,
                    "cluster": {
                        "server": f"https://{server_ip}:{API_PORT}",
                        "certificate-authority-data": _base64_content(pki / "ca.crt"),
                    },
                }
            ],
            "users": [
                {
                    "name": stem,
                    "user": {
                        "client-certificate-data": _base64_content(pki / f"{stem}.crt"),
                        "client-key-data": _base64_content(pki / f"{stem}.key"),
                    },
                }
            ],
            "contexts": [{"name": cluster, "context": {"cluster": cluster, "user": stem}}],
            "current-context": cluster,
        },
        indent=1,
    )


def _base64_content(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
