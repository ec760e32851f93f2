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


def data_extents(descriptor: int) -> Iterator[tuple[int, int]]:
    """Yield start and end of each stretch of data; holes are left out."""
    position, size = 0, os.fstat(descriptor).st_size
    while position < size:
        try:
            start = os.lseek(descriptor, position, os.SEEK_DATA)
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
            descriptor = os.open(path, os.O_RDWR | os.O_DIRECT | os.O_NOFOLLOW)
        except OSError as problem:
            if problem.errno != errno.EINVAL:
                raise
            descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW)  # tmpfs knows no direct writes
        try:
            os.fsync(descriptor)
            written = sum(
                _write_zeros(descriptor, zeros, start, end) for start, end in list(data_extents(descriptor))
            )
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    return written


def _write_zeros(descriptor: int, zeros: mmap.mmap, start: int, end: int) -> int:
    view = memoryview(zeros)
    try:
        position = start
        while position < end:
            position += os.pwrite(descriptor, view[: min(CHUNK, end - position)], position)
    finally:
        view.release()
    return end - start
