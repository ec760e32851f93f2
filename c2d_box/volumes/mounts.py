"""Reads mounts, and the files behind loop devices, from the kernel; nothing is cached."""

from __future__ import annotations

import fcntl
import re
import struct
from dataclasses import dataclass
from pathlib import Path

LOOP_GET_STATUS64 = 0x4C05
"""The ioctl number, from linux/loop.h."""
LOOP_INFO64 = 232
"""Size of the kernel's ``struct loop_info64``, which begins with the backing file's device and inode."""


@dataclass(frozen=True, slots=True)
class MountEntry:
    """One line of mountinfo."""

    point: Path
    source: str


def list_mounts(text: str | None = None) -> list[MountEntry]:
    """Return all mounts of this process's namespace, in the order they were made."""
    lines = (Path("/proc/self/mountinfo").read_text() if text is None else text).splitlines()
    found = []
    for line in lines:
        # Before " - " stands a varying number of optional fields, so the source
        # can be counted only from there.
        before, after = line.split(" - ", 1)
        found.append(
            MountEntry(Path(_unescape_field(before.split(" ")[4])), _unescape_field(after.split(" ")[1]))
        )
    return found


def _unescape_field(field: str) -> str:
    r"""Decode a field of mountinfo: blanks and backslashes are written as ``\040`` and the like."""
    return re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), field)


def is_mounted(point: Path) -> bool:
    """Return whether anything is mounted at exactly ``point``, in this process's mount namespace."""
    return any(mount.point == point for mount in list_mounts())


def loop_devices() -> dict[str, tuple[int, int]]:
    """Return device number and inode of the backing file, by loop device (``/dev/loop3``).

    The device itself is asked: the path in sysfs is cut short once the container that attached it is gone.
    """
    attached = {}
    # Only attached devices have the folder `loop`.
    for entry in Path("/sys/block").glob("loop*/loop"):
        device = Path("/dev") / entry.parent.name
        try:
            with device.open("rb", buffering=0) as handle:
                status = fcntl.ioctl(handle, LOOP_GET_STATUS64, bytes(LOOP_INFO64))
        except OSError:  # detached meanwhile
            continue
        # `lo_device` and `lo_inode` are the struct's first two fields.
        number, inode = struct.unpack_from("<QQ", status)
        attached[str(device)] = (number, inode)
    return attached


def devices_of(*files: Path) -> list[str]:
    """Return the loop devices backed by ``files``, in whatever namespace they are mounted."""
    stats = [file.stat() for file in files if file.exists()]
    # Compared by device and inode: the path of a file differs between namespaces and can be reused.
    wanted = {(stat.st_dev, stat.st_ino) for stat in stats}
    return [device for device, backing in loop_devices().items() if backing in wanted] if wanted else []
