"""Clears a node that is going down: every mount of a volume under a root, every loop device behind one.

The cluster driver calls this after the pods have ended and the kubelet's own mounts are gone. It needs no API
server.
"""

from __future__ import annotations

import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from c2d_box.errors import Failed
from c2d_box.volumes import mounts


@dataclass(frozen=True)
class UnmountReport:
    """The mount points and loop devices that were removed."""

    points: tuple[Path, ...]
    devices: tuple[str, ...]


def unmount_all(root: Path, patience: float = 10.0) -> UnmountReport:
    """Unmount every volume under ``root`` wherever it is mounted, and detach its loop device.

    Idempotent. A mount that stays busy for ``patience`` seconds is an error that names it: it is never
    detached lazily, as its data would then live on unseen. ``root`` itself, where it is a mount, is left to
    whoever made it.
    """
    root = root.resolve()
    points, deadline = [], time.monotonic() + patience
    # Listed before the first unmount: a device detaches itself with its last mount,
    # and the report is to name it.
    devices = tuple(_attached_devices(root))
    # Listed anew in each round, since a mount may hide another one at the same point.
    while todo := _mounted_points(root):
        # Later mounts can lie on earlier ones, so they go first.
        for point in reversed(todo):
            if not _unmount_point(point):
                if time.monotonic() > deadline:
                    raise Failed("C2D-VOLUME-BUSY", f"{point} is in use", "end what uses it, then repeat")
                time.sleep(0.1)
                break
            points.append(point)
    # Unmounting detaches asynchronously; `losetup -d` is for devices that were attached without a mount.
    while left := _attached_devices(root):
        for device in left:
            subprocess.run(["losetup", "-d", device], capture_output=True, check=False)
        if time.monotonic() > deadline:
            raise Failed(
                "C2D-VOLUME-BUSY",
                f"{', '.join(left)} is still attached",
                "a process in another namespace holds it",
            )
        time.sleep(0.02)
    return UnmountReport(tuple(points), devices)


def _attached_devices(root: Path) -> list[str]:
    """Return the loop devices behind the images of all job volumes."""
    return mounts.devices_of(*root.glob("jobs/*/disk.img"))


def _mounted_points(root: Path) -> list[Path]:
    devices = set(_attached_devices(root))
    return [
        mount.point
        for mount in mounts.list_mounts()
        # By device too: the kubelet mounts a job's file system below folders of its own.
        if mount.source in devices or (mount.point != root and mount.point.is_relative_to(root))
    ]


def _unmount_point(point: Path) -> bool:
    """Return whether ``umount`` succeeded. It fails while a process has a file open there."""
    return subprocess.run(["umount", str(point)], capture_output=True, check=False).returncode == 0
