"""Chooses the kubectl that speaks to the box's cluster."""

from __future__ import annotations

import shutil
from pathlib import Path

from c2d_box.errors import StateProblem
from sandbox.bundle import Bundle


def program() -> Path:
    """Return the bundle's kubectl, else the user's: the bundle of a box on kind need not have one, and kind's
    users usually do.

    It must be called as ``kubectl`` (argv[0]), whatever the file is named: the bundle's program holds all of
    Kubernetes.
    """
    try:
        return Bundle.open_cached(["kube"]).binary("kube")
    except StateProblem as missing:
        if found := shutil.which("kubectl"):
            return Path(found)
        raise StateProblem(
            "C2D-KUBECTL-MISSING",
            "neither the bundle nor this machine has a kubectl",
            "c2d-box bundle build kube; or install kubectl",
        ) from missing
