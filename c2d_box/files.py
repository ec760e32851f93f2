"""Replaces files as a whole, so that nobody reads half of one. Only the standard library is imported: pods'
programs use this too.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def open_replacement(
    path: Path, *, mode: int = 0o666, owner: tuple[int, int] | None = None, durable: bool = False
) -> Iterator[BinaryIO]:
    """Yield a file to write what is to replace ``path``, which happens at the end of the block: a reader, or
    an interrupted run, has the old content or the new.

    ``mode`` is subject to the umask. ``owner`` (uid, gid) is set only where the process runs as root. With
    ``durable`` the content is synced to the disk before the old file is replaced, so it outlives a reboot.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # In the same folder, because a rename is atomic within one file system only; by process, so that two do
    # not share a draft.
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        # The mode is set at creation: between ``open`` and a later ``chmod`` others could read a key.
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        with os.fdopen(descriptor, "wb") as stream:
            yield stream
            stream.flush()
            # Before the rename: after a crash the new name could else lead to an empty file.
            if durable:
                os.fsync(stream.fileno())
        if owner is not None and os.geteuid() == 0:
            os.chown(draft, *owner)
        draft.replace(path)
    # KeyboardInterrupt too: a draft left behind may hold a secret.
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def replace_file(
    path: Path,
    content: str | bytes,
    *,
    mode: int = 0o666,
    owner: tuple[int, int] | None = None,
    durable: bool = False,
) -> None:
    """Write a file as a whole or not at all, like :func:`open_replacement`."""
    with open_replacement(path, mode=mode, owner=owner, durable=durable) as stream:
        stream.write(content.encode() if isinstance(content, str) else content)


def replace_private_file(
    path: Path, content: str | bytes, owner: tuple[int, int] | None = None, durable: bool = True
) -> None:
    """Write a file that only its owner may read, as a whole or not at all, like :func:`replace_file`."""
    replace_file(path, content, mode=0o600, owner=owner, durable=durable)
