"""``doctor``: the machine's checks, for this box's home and ports."""

from __future__ import annotations

from sandbox.box import Box
from sandbox.bundle.cache import Cache
from sandbox.doctor import Finding, examine


def diagnose(box: Box) -> list[Finding]:
    """All findings, problems first. Changes nothing."""
    running = box.cluster.status().state in ("running", "degraded", "starting")
    return examine(box.home.path, Cache().root, box.ports.as_dict(), name=box.name, running=running)
