"""What a cluster in containers needs of the machine, and containers of boxes whose home is gone."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from c2d_box.errors import C2DError
from sandbox.clusters.kind import engine
from sandbox.clusters.kind.tool import installed
from sandbox.doctor.finding import Finding, Level

LEAST_MEMORY = 3 << 30
"""Bytes that the engine's machine needs: Docker Desktop gives its own less than the computer has."""
WINDOWS_DISK = "/mnt/"


def docker(wanted: bool) -> list[Finding]:
    """``wanted``: the box runs, or is to run, on Docker; else a missing engine is no problem."""
    worst: Level = "problem" if wanted else "ok"
    try:
        client = engine.connect(timeout=5)
        version = engine.version(client)
    except C2DError as problem:
        id = "C2D-DOC-DOCKER-PERMISSION" if problem.code == "C2D-DOCKER-PERMISSION" else "C2D-DOC-DOCKER"
        return [Finding(id, worst, "docker", problem.message, problem.next_step if wanted else "")]
    found = [_version(version), _tool()]
    with engine.coded():
        about = client.info()
    found += [_memory(int(about.get("MemTotal", 0))), _control_groups(str(about.get("CgroupVersion", "")))]
    found += [_leftovers(item) for item in engine.homeless(client)]
    return found


def _version(version: tuple[int, ...]) -> Finding:
    text = ".".join(map(str, version))
    if version < engine.OLDEST:
        least = ".".join(map(str, engine.OLDEST))
        return Finding(
            "C2D-DOC-DOCKER-OLD", "problem", "docker version", f"{text}, kind needs {least}", "update Docker"
        )
    return Finding("C2D-DOC-DOCKER", "ok", "docker", f"version {text} answers")


def _tool() -> Finding:
    program = installed()
    said = str(program) if program else "not on the PATH; the bundle makes one"
    return Finding("C2D-DOC-KIND", "ok", "kind", said)


def _memory(total: int) -> Finding:
    said = f"{total / 2**30:.1f} GiB for containers"
    if total >= LEAST_MEMORY:
        return Finding("C2D-DOC-DOCKER-MEMORY", "ok", "docker memory", said)
    fix = "give Docker 3 GiB or more (Docker Desktop: Settings, Resources)"
    return Finding("C2D-DOC-DOCKER-MEMORY", "problem", "docker memory", said, fix)


def _control_groups(version: str) -> Finding:
    if version == "2":
        return Finding("C2D-DOC-DOCKER-CGROUP", "ok", "docker control groups", "version 2")
    return Finding(
        "C2D-DOC-DOCKER-CGROUP",
        "warning",
        "docker control groups",
        f"version {version or 'unknown'}: Kubernetes 1.35 and newer want 2",
        "boot with systemd.unified_cgroup_hierarchy=1, or use a node image of 1.34",
    )


def _leftovers(network: str) -> Finding:
    return Finding(
        "C2D-DOC-DOCKER-LEFTOVERS",
        "warning",
        "docker leftovers",
        f"{network} belongs to a box whose home is gone",
        "c2d-box doctor --fix removes its container, volumes and network",
    )


def fix() -> list[str]:
    """Remove what boxes without a home left in the engine. Returns what is gone."""
    try:
        client = engine.connect(timeout=10)
        return [name for box in engine.homeless(client) for name in engine.remove_box(client, box)]
    except C2DError:
        return []


def windows(home: Path) -> Finding:
    """WSL2: Windows' disk is slow there and knows neither owners nor sockets."""
    if "microsoft" not in os.uname().release.lower() or sys.platform != "linux":
        return Finding("C2D-DOC-WSL", "ok", "WSL", "this is not Windows")
    if not str(home.absolute()).startswith(WINDOWS_DISK):
        return Finding("C2D-DOC-WSL", "ok", "WSL", f"{home} is on Linux's own disk")
    return Finding(
        "C2D-DOC-WSL",
        "problem",
        "WSL",
        f"{home} is on Windows' disk",
        "choose a home below ~: --home ~/c2d-box",
    )
