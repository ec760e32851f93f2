"""Makes the box's control groups: one subtree named after it in every hierarchy, so that it can be removed
whole.

Works on both versions: with v1 (and hybrid) the subtree exists once per mounted hierarchy, with v2 once.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

MOUNT_TABLE = Path("/proc/self/mounts")
"""The kernel's list of mounts; where hierarchies lie differs between distributions."""
BOX = "box"
"""Child group that holds the components; kubelet makes its own beside it for pods."""
BOX_WEIGHT, COMPONENTS_WEIGHT = 8, 4
"""Number of ordinary processes that the box, and within it the components, count for when CPUs are short.
With the kernel's default of one a compiler run beside it starves the box until its DNS times out; kubelet
gives pods one for each CPU, so components must count for more than a burst of jobs.
"""


def hierarchies() -> list[Path]:
    """Return the mount points of every control group hierarchy."""
    found = []
    for line in MOUNT_TABLE.read_text().splitlines():
        _, target, kind, *_ = line.split()
        # A hybrid machine has both kinds; containers see some of them mounted twice.
        if kind in ("cgroup", "cgroup2") and Path(target) not in found:
            found.append(Path(target))
    return found


def create_groups(group: str) -> None:
    """Make the box's group and its child for the components in every hierarchy; existing ones are kept."""
    for hierarchy in hierarchies():
        parent = hierarchy
        for part, weight in ((group, BOX_WEIGHT), (BOX, COMPONENTS_WEIGHT)):
            child = parent / part
            child.mkdir(exist_ok=True)
            _inherit_cpuset(parent, child)
            _set_cpu_weight(child, weight)
            parent = child


def _set_cpu_weight(folder: Path, processes: int) -> None:
    """Make ``folder`` count for so many ordinary processes, where its hierarchy schedules CPUs (v1, v2)."""
    for name, one in (("cpu.shares", 1024), ("cpu.weight", 100)):
        if (folder / name).exists():
            (folder / name).write_text(str(one * processes))


def _inherit_cpuset(parent: Path, child: Path) -> None:
    """Copy CPUs and memory nodes from the parent: a v1 cpuset group takes no process until it names them."""
    for name in ("cpuset.cpus", "cpuset.mems"):
        source, target = parent / name, child / name
        if target.exists() and not target.read_text().strip() and source.read_text().strip():
            target.write_text(source.read_text())


def enter_group(group: str) -> dict[Path, str]:
    """Move this process into the box's group everywhere; return where it was before."""
    before = _own_groups()
    for hierarchy in hierarchies():
        # Into the child: with version 2 a group that gives its children controllers may hold no process.
        (hierarchy / group / BOX / "cgroup.procs").write_text(str(os.getpid()))
    return before


def leave_group(before: dict[Path, str]) -> None:
    """Move this process back to where :func:`enter_group` found it; to the root where that group is gone."""
    for hierarchy in hierarchies():
        home = hierarchy / before.get(hierarchy, "/").lstrip("/")
        # It is gone where whoever started this process ended, and its session's group with it.
        target = home if home.is_dir() else hierarchy
        try:
            (target / "cgroup.procs").write_text(str(os.getpid()))
        except OSError:
            (hierarchy / "cgroup.procs").write_text(str(os.getpid()))


def _own_groups() -> dict[Path, str]:
    """Return this process's path within each mounted hierarchy, matched by controller names."""
    lines = [line.split(":", 2) for line in Path("/proc/self/cgroup").read_text().splitlines()]
    found: dict[Path, str] = {}
    for line in MOUNT_TABLE.read_text().splitlines():
        _, target, kind, options, *_ = line.split()
        for number, names, path in lines:
            # /proc/self/cgroup: "4:cpu,cpuacct:/path" for version 1, "0::/path" for version 2 (cgroups(7)).
            wanted = set(names.split(",")) if names else set()
            v2 = kind == "cgroup2" and number == "0"
            if v2 or (kind == "cgroup" and wanted and wanted <= set(options.split(","))):
                found[Path(target)] = path
    return found


def _group_folders(group: str) -> Iterator[Path]:
    """Yield every folder of the box, deepest first."""
    for hierarchy in hierarchies():
        top = hierarchy / group
        if top.is_dir():
            for folder, _, _ in os.walk(top, topdown=False):
                yield Path(folder)


def group_processes(group: str, below: str = "") -> set[int]:
    """Return the process ids in the box's groups as this process's namespace numbers them (0: invisible
    here).
    """
    found: set[int] = set()
    prefix = f"/{group}/{below}" if below else f"/{group}"
    for folder in _group_folders(group):
        if prefix in str(folder):
            try:
                # A folder may vanish while it is read: kubelet and runc remove theirs.
                found.update(int(pid) for pid in (folder / "cgroup.procs").read_text().split())
            except OSError:
                continue
    return found


def remove_groups(group: str, patience: float = 3.0) -> list[Path]:
    """Kill what is still inside and remove the subtrees; return the folders that could not be removed."""
    end = time.monotonic() + patience
    while True:
        for pid in group_processes(group) - {0, os.getpid()}:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        # Deepest first, as a group with children cannot be removed; ended processes leave theirs a moment
        # later.
        left = [folder for folder in list(_group_folders(group)) if not _remove_folder(folder)]
        if not left or time.monotonic() > end:
            return left
        time.sleep(0.02)


def _remove_folder(folder: Path) -> bool:
    """Return whether the folder is gone. A group takes rmdir only, and only once nothing lives in it."""
    try:
        folder.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def container_inits(group: str) -> list[int]:
    """Return the first processes of containers: number 1 in a process namespace below the box's."""
    found = []
    for pid in group_processes(group, "kubepods"):
        try:
            status = Path(f"/proc/{pid}/status").read_text()
        except OSError:
            continue
        # NSpid lists the process's number in each namespace, from the reader's down to its own.
        numbers = next(line.split()[1:] for line in status.splitlines() if line.startswith("NSpid"))
        if len(numbers) > 1 and numbers[-1] == "1":
            found.append(pid)
    return found
