"""``doctor``: the machine's checks, for this box's home and ports."""

from __future__ import annotations

import os
from pathlib import Path

from sandbox.box import Box
from sandbox.doctor import Finding, examine


def diagnose(box: Box) -> list[Finding]:
    """All findings, problems first. Changes nothing."""
    running = box.cluster.status().state in ("running", "degraded", "starting")
    return examine(box.home.path, cache_folder(), box.ports.as_dict(), running=running)


def cache_folder() -> Path:
    """Where the bundle is kept."""
    if chosen := os.environ.get("C2D_BOX_CACHE"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "c2d-box"
