"""Installs the chart with the bundle's helm, and removes what an interrupted helm left behind."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from c2d_box.errors import Failed
from c2d_box.kubernetes.sync_client import KubeApi
from c2d_box.proxies import environment_without_proxy
from sandbox.box import Box
from sandbox.install.chart_values import NAMESPACE, chart_folder

RELEASE = "c2d"
"""Name of the one release, in the namespace of the services."""
UNFINISHED = ("pending-install", "pending-upgrade", "pending-rollback", "failed", "uninstalling")
"""States of a release that block the next one, as helm writes them into the label ``status`` of its
Secrets.
"""


def install_chart(box: Box, kube: KubeApi, helm: Path, values: Mapping[str, Any]) -> None:
    """Run ``helm upgrade --install``; do not wait for the services.

    ``sandbox.install.readiness`` waits instead: helm's own ``--wait`` says neither which service it waits for
    nor why. Raise ``C2D-CHART-REFUSED`` with helm's last lines.
    """
    forget_unfinished(kube)
    with tempfile.TemporaryDirectory(prefix="c2d-helm-") as scratch:
        # A file, not options: --set has a syntax of its own, in which a comma in a value starts the next one.
        file = Path(scratch) / "values.json"
        file.write_text(json.dumps(values))
        command = [str(helm), "upgrade", "--install", RELEASE, str(chart_folder())]
        command += ["--namespace", NAMESPACE, "--values", str(file), "--kubeconfig", str(box.home.kubeconfig)]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env=_helm_environment(scratch, kube)
        )
    if done.returncode != 0:
        raise Failed(
            "C2D-CHART-REFUSED",
            "the chart could not be installed",
            f"{box.command_line('status')}; then {box.command_line('up')}",
            helm=done.stderr.strip().splitlines()[-12:],
        )


def forget_unfinished(kube: KubeApi) -> None:
    """Delete helm's records of releases that never came to an end.

    Helm refuses to work while such a record exists; helm takes over by name what those releases created.
    """
    path = f"/api/v1/namespaces/{NAMESPACE}/secrets"
    for record in kube.items(path, labelSelector=f"owner=helm,name={RELEASE}"):
        if record["metadata"]["labels"].get("status") in UNFINISHED:
            kube.delete(f"{path}/{record['metadata']['name']}")


def _helm_environment(scratch: str, kube: KubeApi) -> dict[str, str]:
    """Return helm's environment: no proxy to the cluster, and none of the user's plugins and repositories."""
    folders = {f"HELM_{kind}_HOME": scratch for kind in ("CACHE", "CONFIG", "DATA")}
    return {**environment_without_proxy(kube.server), **folders}
