"""Overwrites a file's data on the disk before it is unlinked.

Unlinking leaves the bytes where they were. Zeros are written over every allocated extent, in place and past
the page cache, and flushed. That holds where the file system overwrites in place (ext4, xfs without
reflinks); a copy-on-write file system or a flash translation layer may keep older copies, which only an
encrypted disk answers.
"""

from __future__ import annotations

import errno
import mmap
import os
from collections.abc import Iterator
from pathlib import Path

CHUNK = 4 << 20
"""Bytes written at once: large enough that the calls do not count, small enough to hold in memory."""


def data_extents(descriptor: int) -> Iterator[tuple[int, int]]:
    """Yield start and end of each stretch of data; holes are left out."""
    position, size = 0, os.fstat(descriptor).st_size
    while position < size:
        try:
            start = os.lseek(descriptor, position, os.SEEK_DATA)
        # ENXIO: no data behind this position. Blocks that were allocated but never written count as a hole.
        except OSError as problem:
            if problem.errno == errno.ENXIO:
                return
            raise
        position = os.lseek(descriptor, start, os.SEEK_HOLE)
        yield start, position


def overwrite_file(path: Path) -> int:
    """Write zeros over the file's data and flush them. Returns the number of bytes overwritten."""
    with mmap.mmap(-1, CHUNK) as zeros:  # page-aligned, as direct writes want it
        try:
            # No link is followed: the zeros must hit this very file.
            descriptor = os.open(path, os.O_RDWR | os.O_DIRECT | os.O_NOFOLLOW)
        except OSError as problem:
            if problem.errno != errno.EINVAL:
                raise
            descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW)  # tmpfs knows no direct writes
        try:
            # Pages that are still dirty go to the disk first: written later, they would land on the zeros.
            os.fsync(descriptor)
            # All extents are listed before the first write, which would change them.
            written = sum(
                _write_zeros(descriptor, zeros, start, end) for start, end in list(data_extents(descriptor))
            )
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    return written


def _write_zeros(descriptor: int, zeros: mmap.mmap, start: int, end: int) -> int:
    """Write zeros from ``start`` to ``end``; return their number. The ends are whole
    blocks, as direct writes want.
    """
    view = memoryview(zeros)
    try:
        position = start
        while position < end:
            # pwrite may write less than it was given.
            position += os.pwrite(descriptor, view[: min(CHUNK, end - position)], position)
    finally:
        # An mmap with a view on it cannot be closed.
        view.release()
    return end - start
