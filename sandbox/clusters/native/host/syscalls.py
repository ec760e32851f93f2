"""Calls the few Linux functions that Python 3.11 lacks: namespaces, mounts, and dying with one's parent."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

# Flags of unshare(2) and setns(2), from <linux/sched.h>.
CLONE_NEWNS = 0x00020000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

# Flags of mount(2), from <linux/mount.h>.
MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_REMOUNT = 32
MS_BIND = 4096
MS_REC = 16384
MS_SLAVE = 1 << 19
MS_SHARED = 1 << 20

PR_SET_PDEATHSIG = 1
"""Option of prctl(2). The kernel resets it in a forked child, so each process asks for itself."""

_libc = ctypes.CDLL(None, use_errno=True)
"""The C library. use_errno: otherwise ctypes may overwrite errno before it is read."""


def _check_result(result: int, what: str) -> None:
    """Raise the ``OSError`` of a call that failed; ``what`` names it."""
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def unshare_namespaces(flags: int) -> None:
    """Move this process into new namespaces; a new process namespace is only for its children."""
    _check_result(_libc.unshare(flags), "unshare")


def set_namespace(fd: int, kind: int) -> None:
    """Move the calling thread into the namespace ``fd`` refers to."""
    _check_result(_libc.setns(fd, kind), "setns")


def die_with_parent(signal_number: int) -> None:
    """Have the kernel send ``signal_number`` to this process when its parent ends."""
    _check_result(_libc.prctl(PR_SET_PDEATHSIG, signal_number, 0, 0, 0), "prctl")


def mount_filesystem(
    source: str | Path, target: str | Path, kind: str = "", flags: int = 0, data: str = ""
) -> None:
    """Call mount(2). An empty ``kind`` or ``data`` is passed as NULL."""
    _check_result(
        _libc.mount(
            os.fsencode(source), os.fsencode(target), kind.encode() or None, flags, data.encode() or None
        ),
        f"mount {source} on {target}",
    )


def bind_mount(source: str | Path, target: str | Path, recursive: bool = True) -> None:
    """Show ``source`` at ``target`` too; with ``recursive`` also what is mounted below it."""
    mount_filesystem(source, target, flags=MS_BIND | (MS_REC if recursive else 0))
