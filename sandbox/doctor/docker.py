"""Checks what a cluster in containers needs of the machine, and finds what boxes without a home left."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from c2d_box.errors import C2DError
from sandbox import docker_engine
from sandbox.clusters.k3d import tool as k3d
from sandbox.clusters.k3d import trust
from sandbox.clusters.kind.tool import installed_kind
from sandbox.doctor.finding import Finding, Level

LEAST_MEMORY = 3 << 30
"""Bytes that the engine's machine needs: Docker Desktop gives its own less than the computer has."""
LEAST_DISK = 8 << 30
"""Bytes for a node with its images and the volumes of some jobs."""
WINDOWS_DISK = "/mnt/"
"""Folder below which WSL mounts Windows' drives."""
DESKTOP = "Docker Desktop"
"""Operating system that the engine of Docker Desktop reports."""
SHARED = ("/Users", "/Volumes", "/private", "/tmp", "/var/folders", "/home")
"""Folders that Docker Desktop lets containers see, as it comes."""


def check_docker(wanted: bool, cache: Path | None = None) -> list[Finding]:
    """Return the findings about the Docker engine.

    ``wanted``: the box runs, or is to run, on Docker; otherwise a missing engine is no problem. ``cache``:
    the folder where a builder in a container would write.
    """
    worst: Level = "problem" if wanted else "ok"
    try:
        # A short timeout: an engine that hangs must not make the doctor hang.
        client = docker_engine.connect_engine(timeout=5)
        version = docker_engine.engine_version(client)
    except C2DError as problem:
        # Nothing else can be found out without an engine, so this is the only finding then.
        id = "C2D-DOC-DOCKER-PERMISSION" if problem.code == "C2D-DOCKER-PERMISSION" else "C2D-DOC-DOCKER"
        return [Finding(id, worst, "docker", problem.message, problem.next_step if wanted else "")]
    found = [_check_version(version), _check_kind(), _check_k3d()]
    with docker_engine.coded_errors():
        about = client.info()
    found += [
        _check_memory(int(about.get("MemTotal", 0))),
        _check_control_groups(str(about.get("CgroupVersion", ""))),
    ]
    found += [_check_disk(about), _check_desktop(about, cache)]
    found += [_leftover_finding(item) for item in docker_engine.homeless_clusters(client)]
    return found


def _check_version(version: tuple[int, ...]) -> Finding:
    """Check that the engine is new enough for kind."""
    text = ".".join(map(str, version))
    if version < docker_engine.OLDEST:
        least = ".".join(map(str, docker_engine.OLDEST))
        return Finding(
            "C2D-DOC-DOCKER-OLD", "problem", "docker version", f"{text}, kind needs {least}", "update Docker"
        )
    return Finding("C2D-DOC-DOCKER", "ok", "docker", f"version {text} answers")


def _check_kind() -> Finding:
    """Report where the kind command is. Its absence is no problem: the bundle makes one."""
    program = installed_kind()
    said = str(program) if program else "not on the PATH; the bundle makes one"
    return Finding("C2D-DOC-KIND", "ok", "kind", said)


def _check_k3d() -> Finding:
    """Warn of k3d as long as no selftest has passed on it here (docs/adr/0006)."""
    program = k3d.installed()
    if program is None:
        return Finding("C2D-DOC-K3D", "ok", "k3d", "not on the PATH")
    if trust.is_verified():
        return Finding("C2D-DOC-K3D", "ok", "k3d", f"{program}, a selftest has passed on it")
    fix = "c2d-box up --cluster k3d; c2d-box selftest"
    return Finding("C2D-DOC-K3D", "warning", "k3d", f"{program}, never seen to hold jobs in", fix)


def _check_disk(about: Mapping[str, Any]) -> Finding:
    """Check the room where the engine keeps containers."""
    root = Path(str(about.get("DockerRootDir", "")))
    # The engine may run in a machine of its own, whose paths mean nothing here.
    if not root.is_absolute() or not root.exists():
        return Finding("C2D-DOC-DOCKER-DISK", "ok", "docker disk", "on a disk that cannot be seen from here")
    free = shutil.disk_usage(root).free
    said = f"{free / 2**30:.1f} GiB free at {root}"
    if free >= LEAST_DISK:
        return Finding("C2D-DOC-DOCKER-DISK", "ok", "docker disk", said)
    fix = f"docker system prune, or move {root} to a larger disk (data-root)"
    return Finding("C2D-DOC-DOCKER-DISK", "problem", "docker disk", said, fix)


def _check_desktop(about: Mapping[str, Any], cache: Path | None) -> Finding:
    """Warn where Docker Desktop does not show containers the bundle's folder: mounts of it are empty there,
    without an error.
    """
    if about.get("OperatingSystem") != DESKTOP or cache is None:
        return Finding("C2D-DOC-DOCKER-DESKTOP", "ok", "Docker Desktop", "nothing to heed")
    if str(cache.absolute()).startswith(SHARED):
        return Finding("C2D-DOC-DOCKER-DESKTOP", "ok", "Docker Desktop", f"containers can see {cache}")
    return Finding(
        "C2D-DOC-DOCKER-DESKTOP",
        "warning",
        "Docker Desktop",
        f"containers cannot see {cache}: nothing could be built there",
        "export C2D_BOX_CACHE=~/.cache/c2d-box, or share the folder (Settings, Resources, File sharing)",
    )


def _check_memory(total: int) -> Finding:
    """Check the memory that the engine has for containers."""
    said = f"{total / 2**30:.1f} GiB for containers"
    if total >= LEAST_MEMORY:
        return Finding("C2D-DOC-DOCKER-MEMORY", "ok", "docker memory", said)
    fix = "give Docker 3 GiB or more (Docker Desktop: Settings, Resources)"
    return Finding("C2D-DOC-DOCKER-MEMORY", "problem", "docker memory", said, fix)


def _check_control_groups(version: str) -> Finding:
    """Warn of control groups version 1: Kubernetes 1.35 and newer ask for version 2."""
    if version == "2":
        return Finding("C2D-DOC-DOCKER-CGROUP", "ok", "docker control groups", "version 2")
    return Finding(
        "C2D-DOC-DOCKER-CGROUP",
        "warning",
        "docker control groups",
        f"version {version or 'unknown'}: Kubernetes 1.35 and newer want 2",
        "boot with systemd.unified_cgroup_hierarchy=1, or use a node image of 1.34",
    )


def _leftover_finding(network: str) -> Finding:
    """Return the finding for a box that nothing on this machine knows any more."""
    return Finding(
        "C2D-DOC-DOCKER-LEFTOVERS",
        "warning",
        "docker leftovers",
        f"{network} belongs to a box whose home is gone",
        "c2d-box doctor --fix removes its container, volumes and network",
    )


def remove_homeless() -> list[str]:
    """Remove what boxes without a home left in the engine; return the names of what is gone. Without an
    engine that is nothing.
    """
    try:
        client = docker_engine.connect_engine(timeout=10)
        return [
            name
            for box in docker_engine.homeless_clusters(client)
            for name in docker_engine.remove_box(client, box)
        ]
    except C2DError:
        return []


def check_windows(home: Path) -> Finding:
    """Check that the home is not on Windows' disk under WSL 2: that disk is slow there and knows neither
    owners nor sockets.
    """
    # WSL's kernel has the word in its release.
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
