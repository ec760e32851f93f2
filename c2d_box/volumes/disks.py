"""The volumes on this node's disk: making, mounting and erasing them.

    <root>/jobs/<volume>/disk.img        a file with an ext4 file system, all its blocks taken at once
    <root>/jobs/<volume>/mnt/volume      what pods see; it exists only while the file system is mounted
    <root>/services/<volume>/volume      a plain directory

Pods get ``mnt/volume`` and not ``mnt``: after a reboot, before the file system is mounted again, the path is
missing and the kubelet waits, where an empty directory of the node would silently take its place.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from c2d_box.errors import Failed
from c2d_box.volumes import mounts, wiping
from c2d_box.volumes.claims import StorageClass, VolumeFolder
from c2d_box.volumes.plan import StoredVolume

BLOCK = 4096
"""Block size of the file systems and granularity of their images: direct writes,
as for wiping, need alignment.
"""
NO_ROOM = "C2D-VOLUME-NO-ROOM"
"""Code of the error that makes the controller give a claim back to the scheduler."""
# Too small for a file system with its own tables.
SMALLEST = 1 << 20


class RunProgram(Protocol):
    """Runs a program to its end; an exit status not in ``accept`` is an error."""

    def __call__(self, command: Sequence[str], accept: Sequence[int] = (0,)) -> None: ...


def run_program(command: Sequence[str], accept: Sequence[int] = (0,)) -> None:
    """Run a program; the error of a failed one contains its output."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    except (OSError, subprocess.TimeoutExpired) as cause:
        raise Failed("C2D-VOLUME-TOOL", f"{command[0]} did not run: {cause}") from cause
    if done.returncode not in accept:
        said = (done.stderr or done.stdout).strip()
        raise Failed("C2D-VOLUME-TOOL", f"{' '.join(command)} ended with {done.returncode}: {said}")


@dataclass(frozen=True)
class NodeDisk:
    """The volumes under ``root``; ``reserve`` bytes of the disk stay free."""

    root: Path
    reserve: int = 0
    run: RunProgram = field(default=run_program)

    def volume_names(self) -> set[str]:
        """Return the names of volumes of which anything is on the disk."""
        return {entry.name for kind in ("jobs", "services") for entry in self._list_folders(kind)}

    def find_stored(self, name: str) -> StoredVolume | None:
        """Return what is on the disk of this volume, whole or not; None where there is nothing."""
        if (self.root / "jobs" / name).exists():
            # ``make_volume`` renames the finished folder into place last: where it
            # exists, the volume is whole.
            mounted = mounts.is_mounted(self._mount_point(name))
            return StoredVolume("disk", mounted and self.volume_path(name, "disk").is_dir())
        if (self.root / "services" / name).exists():
            path = self.volume_path(name, "directory")
            # Emptiness matters for directories alone: one without a claim is erased
            # only if it never held anything.
            return StoredVolume(
                "directory", path.is_dir(), empty=not path.is_dir() or not any(path.iterdir())
            )
        return None

    def volume_path(self, name: str, kind: str) -> Path:
        """Return the folder that becomes the volume."""
        return (
            self._mount_point(name) / "volume" if kind == "disk" else self.root / "services" / name / "volume"
        )

    def make_volume(self, name: str, storage_class: StorageClass, size: int) -> Path:
        """Make the volume from nothing (an interrupted attempt is erased first). Returns its path."""
        self.erase_volume(name)
        for kind in ("jobs", "services"):  # nobody but root passes, whatever the owners below are
            (self.root / kind).mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self.volume_path(name, storage_class.kind)
        if storage_class.kind == "disk":
            self._make_disk(name, size)
        else:
            path.parent.mkdir(parents=True, mode=0o700)
        # Built aside and renamed: after a crash in between the volume is not ready,
        # and is made anew from nothing.
        scratch = path.with_name("volume.new")
        _make_folder(scratch, storage_class.owner)
        for folder in storage_class.folders:
            _make_folder(scratch / folder.name, folder)
        scratch.rename(path)
        return path

    def mount_volume(self, name: str) -> None:
        """Mount the volume's file system, after a check: the node may have gone down with it mounted."""
        if mounts.is_mounted(self._mount_point(name)):
            return
        # The check costs time on each start and has something to do only after a crash. It exits with 1 where
        # it repaired something. `nodiscard`: freed blocks must stay allocated to the image.
        if self._was_dirty(self._image_path(name)):
            self.run(["e2fsck", "-p", "-E", "nodiscard", str(self._image_path(name))], accept=(0, 1))
        self._mount_image(name)

    def erase_volume(self, name: str) -> int:
        """Unmount, overwrite and remove the volume. Returns the number of bytes overwritten."""
        # A service's directory has no image to overwrite: its files are only unlinked.
        if (directory := self.root / "services" / name).exists():
            shutil.rmtree(directory)
        folder, image, written = self.root / "jobs" / name, self._image_path(name), 0
        if not folder.exists():
            return 0
        # First: data that the kernel still holds for a mounted file system would be
        # written back over the zeros.
        self.unmount_volume(name)
        if image.exists():
            written = wiping.overwrite_file(image)
            image.unlink()
        # Last, so that an interrupted run finds the folder and starts over.
        shutil.rmtree(folder)
        return written

    def unmount_volume(self, name: str, patience: float = 5.0) -> None:
        """Unmount, and wait until nobody in any namespace holds the file system."""
        point, deadline = self._mount_point(name), time.monotonic() + patience
        while mounts.is_mounted(point):
            try:
                self.run(["umount", str(point)])
            except Failed:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
        # A pod's mount namespace can hold a mount of its own: the loop device detaches
        # itself when the last is gone.
        while devices := mounts.devices_of(self._image_path(name)):
            if time.monotonic() > deadline:
                raise Failed("C2D-VOLUME-BUSY", f"{name} is still in use through {', '.join(devices)}")
            time.sleep(0.02)

    def used_bytes(self, name: str) -> int | None:
        """Return the bytes of a service's directory on the node's disk; None for a volume of another kind."""
        folder = self.volume_path(name, "directory")
        return _folder_bytes(folder) if folder.is_dir() else None

    def free_bytes(self) -> int:
        """Return the bytes that can still be promised: the free ones, less what existing disks may yet grow
        by and the reserve.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        disk, promised = os.statvfs(self.root), 0
        for entry in self._list_folders("jobs"):
            image = entry / "disk.img"
            if image.exists():
                stat = image.stat()
                # Blocks of a sparse image that it has not taken yet; `st_blocks` counts units of 512 bytes on
                # every file system. It is 0 where `allocate_blocks` could take all of them.
                promised += max(0, stat.st_size - stat.st_blocks * 512)
        # `f_bavail`, not `f_bfree`: the latter includes blocks that only root may use.
        return disk.f_bavail * disk.f_frsize - promised - self.reserve

    def _make_disk(self, name: str, size: int) -> None:
        """Make the image with its file system and mount it. Raises Failed with
        code ``NO_ROOM`` on a full node.
        """
        if size < SMALLEST:
            raise Failed("C2D-VOLUME-SIZE", f"a volume of {size} bytes is too small: at least {SMALLEST}")
        # Checked before anything is written; `allocate_blocks` reports a node that fills up meanwhile.
        if (room := self.free_bytes()) < size:
            raise Failed(
                NO_ROOM,
                f"the node's disk has room for {max(0, room)} bytes more, {size} are asked for",
                "free space on the node, or ask for less",
            )
        point, image = self._mount_point(name), self._image_path(name)
        point.mkdir(parents=True, mode=0o700)
        # "x": an image that exists is data that was not erased.
        with image.open("xb") as file:
            os.fchmod(file.fileno(), 0o600)
            # Rounded up to whole blocks.
            file.truncate(-(-size // BLOCK) * BLOCK)
            allocate_blocks(file.fileno(), -(-size // BLOCK) * BLOCK)
        # `lazy_itable_init` and no discard keep mkfs from writing, or giving back, the
        # blocks that were just taken.
        options = "lazy_itable_init=1,nodiscard,root_owner=0:0"
        # Without a journal and without blocks reserved for root, what the job asked for is what it can fill.
        # `-F`: a regular file, not a device.
        self.run(
            [
                "mkfs.ext4",
                "-q",
                "-F",
                "-b",
                str(BLOCK),
                "-O",
                "^has_journal",
                "-m",
                "0",
                "-E",
                options,
                str(image),
            ]
        )
        self._mount_image(name)
        # The job's volume holds what its class says and nothing else.
        shutil.rmtree(point / "lost+found", ignore_errors=True)

    def _mount_image(self, name: str) -> None:
        """Mount the image. A device node or a setuid program that an algorithm writes there has no effect."""
        # `noatime`: reading inputs writes nothing. `noinit_itable`: the kernel does not write the inode
        # tables later in the background either. `loop` attaches a device that detaches itself after the last
        # unmount.
        options = "loop,nodev,nosuid,noatime,noinit_itable"
        self.run(
            ["mount", "-t", "ext4", "-o", options, str(self._image_path(name)), str(self._mount_point(name))]
        )

    def _was_dirty(self, image: Path) -> bool:
        """Return whether the file system was not unmounted cleanly (``s_state`` of the superblock)."""
        with image.open("rb") as file:
            # The superblock begins at byte 1024, `s_state` is at offset 58 in it, and
            # bit 0 means cleanly unmounted.
            file.seek(1024 + 58)
            return not int.from_bytes(file.read(2), "little") & 1

    def _list_folders(self, kind: str) -> list[Path]:
        """Return the volumes' folders of a kind, none before the first volume was made."""
        folder = self.root / kind
        return [entry for entry in folder.iterdir() if entry.is_dir()] if folder.exists() else []

    def _image_path(self, name: str) -> Path:
        return self.root / "jobs" / name / "disk.img"

    def _mount_point(self, name: str) -> Path:
        return self.root / "jobs" / name / "mnt"


def _folder_bytes(folder: Path) -> int:
    """Return the disk space of all files below ``folder``. Files that vanish meanwhile are not counted."""
    # A loop, not a recursion: a service may nest folders deeper than Python's stack.
    total, waiting = 0, [folder]
    while waiting:
        with contextlib.suppress(OSError), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                with contextlib.suppress(OSError):
                    # Links are not followed: what they name is not in this directory.
                    total += entry.stat(follow_symlinks=False).st_blocks * 512
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(Path(entry.path))
    return total


# `use_errno`: ctypes keeps a private errno, which Python code in between cannot change.
_LIBC = ctypes.CDLL(None, use_errno=True)


def allocate_blocks(descriptor: int, size: int) -> bool:
    """Take ``size`` bytes of the disk for a file at once, without writing them; False where the node's file
    system cannot, and the file stays sparse.

    A sparse file grows as its job writes, and every other job sees that in the node's free space: two jobs
    could talk. Not ``os.posix_fallocate``, which writes to each block where the file system cannot.
    """
    # Declared, since ctypes would pass a size as a 32-bit int.
    _LIBC.fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
    if _LIBC.fallocate(descriptor, 0, 0, size) == 0:
        return True
    problem = ctypes.get_errno()
    if problem in (errno.EOPNOTSUPP, errno.ENOSYS):
        return False
    raise Failed(NO_ROOM, f"the node's disk has no room for {size} bytes: {os.strerror(problem)}")


def _make_folder(path: Path, like: VolumeFolder) -> None:
    """Make a folder with the class's owner and mode. The mode comes last: mkdir's own is cut by the umask."""
    path.mkdir()
    os.chown(path, like.user, like.group)
    path.chmod(like.mode)
