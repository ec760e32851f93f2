"""The port: a file object opened for reading, and what can be said about it without reading it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class FileMeta:
    """The source's statements about a file. ``length`` counts the bytes of this answer (of the range,
    where one was asked for); ``filename`` may be empty where naming the file would give its source away."""

    status: int = 200
    # None where the source does not announce it, or announces it of the packed form.
    length: int | None = None
    content_type: str = ""
    filename: str = ""
    content_range: str | None = None


@dataclass
class OpenFile:
    """A body that is read once, chunk by chunk, with the source held back while the reader is slow.

    Always ``close()`` it, read or not; closing twice is fine.
    """

    meta: FileMeta
    chunks: AsyncIterator[bytes]
    # Not a coroutine, so that it can be called from any cleanup, also at cancellation.
    close: Callable[[], None]


@dataclass(frozen=True)
class FileProbe:
    """The finding whether a file can be read, with its sha256 when it was asked for and the file is small
    enough.

    ``reason`` says of a file that cannot be read why, in words that are safe to show to anybody.
    """

    valid: bool
    meta: FileMeta = FileMeta()
    sha256: str | None = None
    reason: str = ""
