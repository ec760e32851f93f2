"""``doctor``: the machine's checks, for this box's home and ports."""

from __future__ import annotations

from sandbox.box import Box
from sandbox.bundle.cache import Cache
from sandbox.doctor import Finding, docker, examine
from sandbox.progress import run


def diagnose(box: Box) -> list[Finding]:
    """All findings, problems first. Changes nothing."""
    running = box.cluster.status().state in ("running", "degraded", "starting")
    return examine(
        box.home.path,
        Cache().root,
        box.ports.as_dict(),
        name=box.name,
        cluster=box.settings.cluster or "native",
        existing=box.settings.existing,
        running=running,
    )


def mend(box: Box) -> list[str]:
    """What can be put right without asking: traces of boxes that are gone. Returns what was removed."""
    gone = docker.fix()
    if box.cluster.status().state in ("stopped", "failed"):
        run(box.cluster.stop(), lambda event: None)
    return gone
