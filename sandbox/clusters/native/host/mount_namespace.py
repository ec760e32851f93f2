"""Makes the box's view of the file system: the machine's, with private folders where components would leave
traces.

Everything mounted from here on is invisible to the machine and ends with the namespace. The home is a shared
mount inside, so that what a privileged pod mounts below it (``mountPropagation: Bidirectional``) reaches
other pods.
"""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

from sandbox.clusters.layout import ClusterLayout
from sandbox.clusters.native.host import syscalls
from sandbox.clusters.native.record import NativeRecord

PRIVATE = (Path("/run"), Path("/var/lib"), Path("/var/log"))
"""Folders in which kubelet, containerd and the network plugins write, regardless of their configuration."""

SHADOWS = Path("/run/c2d-parameters")
"""Folder of the files that are shown in place of kernel parameters; below the private /run."""
TUNABLES = {
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/keys/root_maxbytes": "25000000",
}
"""Kernel parameters of the whole machine that kubelet insists on setting; it is shown files with the values
it expects instead.
"""


def prepare_mounts(layout: ClusterLayout, record: NativeRecord) -> None:
    """Set up the mounts. Call this in a fresh mount namespace, as process 1 of the box."""
    # Slave: what the machine mounts later appears here, what is mounted here appears nowhere else.
    syscalls.mount_filesystem("none", "/", flags=syscalls.MS_REC | syscalls.MS_SLAVE)
    # Resolved before anything is covered.
    keep = _needed_folders(layout, record)
    for folder in PRIVATE:
        _make_private(folder, [path for path in keep if path.is_relative_to(folder)])
    # A new one: the machine's /proc lists the machine's processes, and process ids must be the box's.
    syscalls.mount_filesystem(
        "proc", "/proc", "proc", syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOEXEC
    )
    _write_shadows()
    home = layout.home.path
    # A mount of its own, as only a mount can be shared.
    syscalls.bind_mount(home, home)
    syscalls.mount_filesystem("none", home, flags=syscalls.MS_REC | syscalls.MS_SHARED)


def _needed_folders(layout: ClusterLayout, record: NativeRecord) -> list[Path]:
    """Return the folders that must stay visible even if they lie below a private folder."""
    # Bundles and virtual environments may lie below /var/lib, for system users.
    programs = {Path(program).resolve().parent for program in record.programs.values()}
    python = {Path(sys.prefix), Path(sys.base_prefix), Path(__file__).resolve().parents[3]}
    return sorted({layout.home.path.resolve(), *programs, *python, Path(record.pause_archive).parent})


def _make_private(folder: Path, keep: list[Path]) -> None:
    """Cover ``folder`` with an empty file system in memory, in which only ``keep`` is seen."""
    folder = folder.resolve()
    if not folder.is_dir():
        return
    # Held open: under the new file system their paths lead nowhere, the descriptors still do.
    held = [(path, os.open(path, os.O_PATH)) for path in keep if path.is_dir()]
    syscalls.mount_filesystem("tmpfs", folder, "tmpfs", syscalls.MS_NOSUID | syscalls.MS_NODEV, "mode=755")
    for path, fd in held:
        path.mkdir(parents=True, exist_ok=True)
        syscalls.bind_mount(f"/proc/self/fd/{fd}", path)
        os.close(fd)


def _write_shadows() -> None:
    """Write the files that :func:`shield_parameters` shows in place of the kernel's."""
    SHADOWS.mkdir()
    for name, value in TUNABLES.items():
        (SHADOWS / name.replace("/", ".")).write_text(f"{value}\n")


def shield_parameters() -> None:
    """Show :data:`TUNABLES` instead of the machine's parameters. Call this in a mount namespace of one's own.

    The whole box must not have this: the kernel lets a pod's user namespace mount ``/proc`` only where
    nothing hides parts of it.
    """
    syscalls.unshare_namespaces(syscalls.CLONE_NEWNS)
    for name in TUNABLES:
        # A parameter that this kernel lacks is none that the kubelet could change.
        with contextlib.suppress(OSError):
            syscalls.bind_mount(SHADOWS / name.replace("/", "."), Path("/proc/sys") / name, recursive=False)
