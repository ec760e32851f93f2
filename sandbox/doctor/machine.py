"""Is this a machine a box can live on: system, memory, disk, rights, kernel."""

from __future__ import annotations

import gzip
import os
import platform
import shutil
from pathlib import Path

from sandbox.doctor.finding import Finding

GIB = 1 << 30
MEMORY_NEEDED, MEMORY_COMFORT = 2 * GIB, 4 * GIB
DISK_NEEDED, DISK_COMFORT = 4 * GIB, 12 * GIB
KERNEL_MODULES = {
    "overlay": "overlayfs",
    "veth": "veth",
    "bridge": "bridge",
    "nf_tables": "nftables",
    "loop": "loop devices",
}


def system() -> Finding:
    """The native cluster needs Linux; the bundle is built for two architectures."""
    title, evidence = "system", f"{platform.system()} {platform.release()} on {platform.machine()}"
    if platform.system() != "Linux":
        return Finding("C2D-DOC-SYSTEM", "problem", title, evidence, "use a Linux machine or a virtual one")
    if platform.machine() not in ("x86_64", "aarch64"):
        return Finding("C2D-DOC-SYSTEM", "warning", title, evidence, "not tried on this architecture")
    return Finding("C2D-DOC-SYSTEM", "ok", title, evidence)


def distribution() -> Finding:
    """The bundle's images are made of Debian packages with Debian's tools."""
    release = _os_release()
    evidence = release.get("PRETTY_NAME", "unknown distribution")
    family = {release.get("ID", ""), *release.get("ID_LIKE", "").split()}
    if family & {"debian", "ubuntu"}:
        return Finding("C2D-DOC-DISTRIBUTION", "ok", "distribution", evidence)
    return Finding(
        "C2D-DOC-DISTRIBUTION",
        "warning",
        "distribution",
        evidence,
        "bundle build needs Debian or Ubuntu; on this machine load a bundle that was built there",
    )


def memory() -> Finding:
    """Memory that is free for a box and its jobs."""
    available = _meminfo().get("MemAvailable", 0)
    evidence = f"{available / GIB:.1f} GiB available"
    level = "problem" if available < MEMORY_NEEDED else "warning" if available < MEMORY_COMFORT else "ok"
    fix = (
        ""
        if level == "ok"
        else f"free memory: the idle box takes about 1.5 GiB, {MEMORY_COMFORT / GIB:.0f} GiB are comfortable"
    )
    return Finding("C2D-DOC-MEMORY", level, "memory", evidence, fix)  # type: ignore[arg-type]


def disk(folder: Path) -> Finding:
    """Space where the home (or the cache) lies."""
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(existing).free
    evidence = f"{free / GIB:.1f} GiB free at {existing}"
    level = "problem" if free < DISK_NEEDED else "warning" if free < DISK_COMFORT else "ok"
    fix = "" if level == "ok" else "free space there, or choose another place with --home and C2D_BOX_CACHE"
    return Finding("C2D-DOC-DISK", level, "disk", evidence, fix)  # type: ignore[arg-type]


def rights() -> Finding:
    """Only the cluster's supervisor needs root; sudo is enough."""
    if os.geteuid() == 0:
        return Finding("C2D-DOC-ROOT", "ok", "root", "running as root")
    if shutil.which("sudo"):
        return Finding("C2D-DOC-ROOT", "ok", "root", "sudo is there; up will ask once")
    return Finding("C2D-DOC-ROOT", "problem", "root", "neither root nor sudo", "run as root, or install sudo")


def kernel() -> Finding:
    """Features containers and their networks are made of."""
    missing = [name for module, name in KERNEL_MODULES.items() if not _has_kernel(module)]
    if not Path("/proc/sys/user/max_user_namespaces").exists():
        missing.append("user namespaces")
    if missing:
        return Finding(
            "C2D-DOC-KERNEL",
            "problem",
            "kernel",
            f"not found: {', '.join(missing)}",
            f"sudo modprobe -a {' '.join(KERNEL_MODULES)}, or a kernel that has them",
        )
    return Finding(
        "C2D-DOC-KERNEL", "ok", "kernel", "overlayfs, veth, bridge, nftables, loop devices, user namespaces"
    )


def _has_kernel(module: str) -> bool:
    if Path(f"/sys/module/{module}").exists() or _loadable(module):
        return True
    options = {
        "overlay": "OVERLAY_FS",
        "veth": "VETH",
        "bridge": "BRIDGE",
        "nf_tables": "NF_TABLES",
        "loop": "BLK_DEV_LOOP",
    }
    return f"CONFIG_{options[module]}=y" in _kernel_config() or (
        module == "loop" and Path("/dev/loop-control").exists()
    )


def _loadable(module: str) -> bool:
    index = Path(f"/lib/modules/{platform.release()}/modules.dep")
    try:
        return f"/{module}.ko" in index.read_text()
    except OSError:
        return False


def _kernel_config() -> str:
    packed = Path("/proc/config.gz")
    try:
        if packed.exists():
            return gzip.decompress(packed.read_bytes()).decode()
        return Path(f"/boot/config-{platform.release()}").read_text()
    except OSError:
        return ""


def _os_release() -> dict[str, str]:
    try:
        lines = Path("/etc/os-release").read_text().splitlines()
    except OSError:
        return {}
    return {name: value.strip('"') for name, _, value in (line.partition("=") for line in lines)}


def _meminfo() -> dict[str, int]:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return {}
    return {name: int(rest.split()[0]) * 1024 for name, _, rest in (line.partition(":") for line in lines)}
