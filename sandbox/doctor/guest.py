"""Checks a cluster of somebody else in which the box is to be a guest."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from c2d_box.errors import C2DError
from c2d_box.kubernetes.sync_client import KubeApi
from sandbox.clusters.existing import access
from sandbox.clusters.existing.registry import ImageRegistry
from sandbox.doctor.finding import Finding
from sandbox.settings import ExistingClusterSettings


def check_existing(chosen: ExistingClusterSettings) -> list[Finding]:
    """Check that the cluster answers to the chosen context, and that the registry takes images."""
    return [_check_cluster(chosen), _check_registry(chosen.registry)]


def _check_cluster(chosen: ExistingClusterSettings) -> Finding:
    """Check that the API server tells its version to this context."""
    try:
        # Only the chosen context, as the driver does: the user's file may hold keys of other clusters.
        text = access.extract_kubeconfig(chosen.kubeconfig, chosen.context)
        with tempfile.TemporaryDirectory(prefix="c2d-doctor-") as scratch:
            path = Path(scratch, "kubeconfig")
            # Created private before anything is written: it holds credentials.
            path.touch(mode=0o600)
            path.write_text(text)
            with KubeApi.of(path, timeout=5.0) as kube:
                found = json.loads(kube.text("/version") or "{}")
    except C2DError as problem:
        return Finding("C2D-DOC-EXISTING", "problem", "cluster", problem.message, problem.next_step)
    where = f"{access.server_url(text)} (context {access.current_context(text)})"
    # A cluster that refuses the context answers too, with a status instead of its version.
    if "gitVersion" not in found:
        fix = "kubectl auth can-i --list says what this context may do"
        return Finding("C2D-DOC-EXISTING", "problem", "cluster", f"{where} does not take this context", fix)
    return Finding("C2D-DOC-EXISTING", "ok", "cluster", f"{where}, Kubernetes {found['gitVersion']}")


def _check_registry(place: str) -> Finding:
    """Check that the registry accepts the user's credentials. Nothing is pushed."""
    try:
        ImageRegistry(place).require_access()
    except C2DError as problem:
        return Finding("C2D-DOC-EXISTING-REGISTRY", "problem", "registry", problem.message, problem.next_step)
    return Finding("C2D-DOC-EXISTING-REGISTRY", "ok", "registry", f"{place} answers")
