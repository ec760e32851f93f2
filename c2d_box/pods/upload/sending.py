"""Shared by the stores: the manifest's entries, opened safely, and the exceptions for failures."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from c2d_box.workflow import manifests

CHUNK = 1 << 18
"""Bytes read and sent at a time."""


class SendFailed(Exception):
    """The store refused for good, or a file is not what was judged: another try would not help."""


class SendInterrupted(Exception):
    """A failure that is worth another try."""


@dataclass(frozen=True, slots=True)
class UploadEntry:
    """A line of the manifest; ``place`` is where its bytes are, under the name that the algorithm gave."""

    place: Path
    path: str
    filename: str
    type: str
    size: int
    sha256: str
    data: bytes | None = None
    """The bytes themselves, of a file that is on no disk."""
    sealed: Callable[[], Iterator[bytes]] | None = None
    """Its bytes as they leave, where they are encrypted; size, hash and name are theirs then."""
    judged: str | None = None
    """The hash of what was encrypted."""


@dataclass(frozen=True, slots=True)
class SentFile:
    """A file that is in the store, as the job's results list it."""

    entry: UploadEntry
    url: str
    cid: str | None = None

    def as_result(self) -> dict[str, Any]:
        """Return the line of the job's results, as the status keeps it."""
        sealed = {"encryption": manifests.ENCRYPTION, "judged": self.entry.judged}
        return {
            "filename": self.entry.filename,
            "filesize": self.entry.size,
            "type": self.entry.type,
            "url": self.url,
            "cid": self.cid,
            "sha256": self.entry.sha256,
            **(sealed if self.entry.sealed else {}),
        }


def manifest_entries(manifest: dict[str, Any], data: Path, verdict: Path) -> list[UploadEntry]:
    """Return the manifest's files with the places of their bytes. The manifest was written by the judge,
    into a folder that only the judge can write."""
    roots = {"data": data, "logs": verdict / "logs"}
    return [
        UploadEntry(
            roots[line["source"]] / line.get("onDisk", line["path"]),
            line["path"],
            line["filename"],
            line["type"],
            line["size"],
            line["sha256"],
        )
        for line in manifest["files"]
    ]


def memory_entry(filename: str, kind: str, data: bytes) -> UploadEntry:
    """Return the entry of a file that was made here."""
    return UploadEntry(
        Path(filename), filename, filename, kind, len(data), hashlib.sha256(data).hexdigest(), data
    )


def entry_content(entry: UploadEntry) -> Iterator[bytes]:
    """Yield the judged bytes, sealed where they are to be; raise SendFailed as soon as they are others."""
    if entry.sealed is not None:
        yield from entry.sealed()
        return
    # Made here and never on the volume, so nobody can have changed it.
    if entry.data is not None:
        yield entry.data
        return
    digest, size = hashlib.sha256(), 0
    handle = _open_entry(entry)
    with os.fdopen(handle, "rb", buffering=0) as file:
        while chunk := file.read(CHUNK):
            size += len(chunk)
            # A file that grows is noticed at once, before more of it than was judged is sent.
            if size > entry.size:
                raise SendFailed(f"{entry.filename} is not what was judged")
            digest.update(chunk)
            yield chunk
    if digest.hexdigest() != entry.sha256:
        raise SendFailed(f"{entry.filename} is not what was judged")


def _open_entry(entry: UploadEntry) -> int:
    """Open the file component by component, so that no folder of the path can be a link either."""
    depth = len(Path(entry.path).parts)
    # The root is our own mount; every part below it was the algorithm's to name.
    root, parts = entry.place.parents[depth - 1], entry.place.parts[-depth:]
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for part in parts[:-1]:
            inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
            os.close(folder)
            folder = inner
        # O_NONBLOCK: a pipe in the file's place would block the open for ever.
        handle = os.open(parts[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY, dir_fd=folder)
    except OSError as error:
        raise SendFailed(f"{entry.filename} cannot be opened: {error.strerror}") from None
    finally:
        os.close(folder)
    # Asked of the open file, which no longer can become another one.
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise SendFailed(f"{entry.filename} is not a regular file")
    return handle
