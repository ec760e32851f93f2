"""Answers with files: the source's bytes are handed on as they come, under names that clients can parse and
nobody can abuse."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from c2d_box.assets.filenames import content_disposition
from c2d_box.storage import OpenFile


class ContentChanged(Exception):
    """The file's hash is not the one that was permitted. The answer is broken off before its last chunk."""


class FileResponse(StreamingResponse):
    """A streamed answer that closes its source however it ends: finished, failed, or abandoned by the
    client."""

    def __init__(
        self,
        chunks: AsyncIterator[bytes],
        close: Callable[[], Awaitable[None] | None],
        status: int,
        headers: dict[str, str],
    ) -> None:
        # Starlette keeps the headers as they are given: a length that the source did not announce is left
        # out, and the answer is then chunked.
        super().__init__(chunks, status, headers)
        self._close = close

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            # Sources are closed by a plain call or by a coroutine (httpx); both end here, also at a
            # disconnect.
            closing = self._close()
            if inspect.isawaitable(closing):
                await closing


def file_response(
    opened: OpenFile, *, ranged: bool = False, sha256: str = "", extra: dict[str, str] | None = None
) -> FileResponse:
    """Return the answer that streams an opened file. Status, type and length are the source's; its headers
    say that it is a file to be saved, never a page to be shown.

    ``sha256`` is the hash that the whole file must have: its last chunk is held back until that is checked.
    A part of a file cannot be checked so.
    """
    meta = opened.meta
    # The type is the publisher's word; ``nosniff`` and the disposition below keep a browser from acting on
    # it.
    headers = {
        "content-type": meta.content_type or "application/octet-stream",
        "access-control-expose-headers": "Content-Disposition",
        **(extra or {}),
    }
    if meta.length is not None:
        headers["content-length"] = str(meta.length)
    if meta.content_range:
        headers["content-range"] = meta.content_range
    headers["content-disposition"] = content_disposition(meta.filename, meta.content_type)
    if not ranged:
        headers["accept-ranges"] = "bytes"
    chunks = _verify_chunks(opened.chunks, sha256) if sha256 and not ranged else opened.chunks
    return FileResponse(chunks, opened.close, meta.status, headers)


async def _verify_chunks(chunks: AsyncIterator[bytes], sha256: str) -> AsyncIterator[bytes]:
    """Yield the chunks with the last one held back until the hash of all is known. A job's pod takes a
    file as complete when the answer ends well, so a wrong file must not end well."""
    digest, held = hashlib.sha256(), b""
    async for chunk in chunks:
        digest.update(chunk)
        # Always one chunk behind the source.
        if held:
            yield held
        held = chunk
    if digest.hexdigest() != sha256:
        raise ContentChanged
    yield held
