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
UNFINISHED = ("pending-install", "pending-upgrade", "pending-rollback", "failed", "uninstalling")


def install_chart(box: Box, kube: KubeApi, helm: Path, values: Mapping[str, Any]) -> None:
    """Run ``helm upgrade --install``; do not wait for the services."""
    forget_unfinished(kube)
    with tempfile.TemporaryDirectory(prefix="c2d-helm-") as scratch:
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
    folders = {f"HELM_{kind}_HOME": scratch for kind in ("CACHE", "CONFIG", "DATA")}
    return {**environment_without_proxy(kube.server), **folders}
