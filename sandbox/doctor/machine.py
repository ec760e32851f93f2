"""Checks whether a box can live on this machine: distribution, memory, disk, rights. The needs of a cluster
are checked with its driver.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from sandbox.doctor.finding import Finding, Level

GIB = 1 << 30
# Bytes: below the first of each pair is a problem, below the second a warning.
MEMORY_NEEDED, MEMORY_COMFORT = 2 * GIB, 4 * GIB
CACHE_NEEDED, CACHE_COMFORT = 2 * GIB, 12 * GIB


def check_distribution() -> Finding:
    """Check for Debian or a relative of it: the bundle's images are made with Debian's tools."""
    release = _os_release()
    evidence = release.get("PRETTY_NAME", "unknown distribution")
    # ID_LIKE covers the relatives, such as Mint.
    family = {release.get("ID", ""), *release.get("ID_LIKE", "").split()}
    if family & {"debian", "ubuntu"}:
        return Finding("C2D-DOC-DISTRIBUTION", "ok", "distribution", evidence)
    return Finding(
        "C2D-DOC-DISTRIBUTION",
        "warning",
        "distribution",
        evidence,
        "bundle build needs Debian or Ubuntu; here, use the cache of a machine of the same architecture",
    )


def check_memory() -> Finding:
    """Check the memory that is free for a box and its jobs."""
    # MemAvailable, not MemFree: the kernel gives up its file cache when memory is asked for.
    available = _meminfo().get("MemAvailable", 0)
    evidence = f"{available / GIB:.1f} GiB available"
    level = _finding_level(available, MEMORY_NEEDED, MEMORY_COMFORT)
    fix = f"free memory: an idle box takes about 1 GiB, {MEMORY_COMFORT / GIB:.0f} GiB leave room for jobs"
    return Finding("C2D-DOC-MEMORY", level, "memory", evidence, "" if level == "ok" else fix)


def check_cache_disk(folder: Path) -> Finding:
    """Check the space where the bundle is built."""
    # The folder may not exist yet; its nearest parent is on the same disk.
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(existing).free
    level = _finding_level(free, CACHE_NEEDED, CACHE_COMFORT)
    fix = f"a build wants {CACHE_COMFORT / GIB:.0f} GiB: free space there, or set C2D_BOX_CACHE"
    evidence = f"{free / GIB:.1f} GiB free at {existing}"
    return Finding("C2D-DOC-CACHE-DISK", level, "disk for the bundle", evidence, "" if level == "ok" else fix)


def check_root() -> Finding:
    """Check for root or sudo. Only the cluster's supervisor needs it."""
    if os.geteuid() == 0:
        return Finding("C2D-DOC-ROOT", "ok", "root", "running as root")
    if shutil.which("sudo"):
        return Finding("C2D-DOC-ROOT", "ok", "root", "sudo is there; up will ask once")
    return Finding("C2D-DOC-ROOT", "problem", "root", "neither root nor sudo", "run as root, or install sudo")


def _finding_level(have: int, needed: int, comfort: int) -> Level:
    """Return the level for an amount, by the two limits."""
    return "problem" if have < needed else "warning" if have < comfort else "ok"


def _os_release() -> dict[str, str]:
    """Return the fields of ``/etc/os-release``; {} where there is none, as on other systems than Linux."""
    try:
        lines = Path("/etc/os-release").read_text().splitlines()
    except OSError:
        return {}
    return {name: value.strip('"') for name, _, value in (line.partition("=") for line in lines)}


def _meminfo() -> dict[str, int]:
    """Return the fields of ``/proc/meminfo`` in bytes (the file has KiB); {} where there is none."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return {}
    return {name: int(rest.split()[0]) * 1024 for name, _, rest in (line.partition(":") for line in lines)}
