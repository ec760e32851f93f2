"""HTTP's content encodings undone: a file is what its author stored, not how a server packed it for the way.

Nothing packed is asked for, yet some servers send it. Unpacking is bounded in memory by its steps, and in all
by a ratio that no honest table reaches: a few kilobytes can unpack to gigabytes.
"""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator

from c2d_box.storage.errors import FileUnusable, SourceUnreachable, TooLarge

STEP = 1 << 18
FREE_BYTES = 16 << 20
"""Unpacked bytes without a look at the ratio."""
MOST_RATIO = 250

_GZIP = ("gzip", "x-gzip")
_NONE = ("", "identity")


def is_packed(headers: dict[str, str]) -> bool:
    return headers.get("content-encoding", "").strip().lower() not in _NONE


def coding_of(headers: dict[str, str]) -> str:
    """The encoding to undo, empty for none; Unusable for one that is not known here."""
    coding = headers.get("content-encoding", "").strip().lower()
    if coding in _NONE:
        return ""
    if coding in _GZIP:
        return "gzip"
    if coding == "deflate":
        return coding
    raise FileUnusable("the source sends a content encoding that was not asked for")


async def unpack_chunks(chunks: AsyncIterator[bytes], coding: str) -> AsyncIterator[bytes]:
    """The bytes behind the encoding; raises Unreachable where it is damaged or ends early."""
    machine, taken, given = _new_decompressor(coding), 0, 0
    async for chunk in chunks:
        taken += len(chunk)
        while chunk:
            if machine.eof:
                if coding != "gzip" or not chunk.startswith(b"\x1f"):
                    break  # padding after the end
                machine = _new_decompressor(coding)
            try:
                piece = machine.decompress(chunk, STEP)
            except zlib.error:
                if coding != "deflate" or given:
                    raise SourceUnreachable("the source's compressed answer is damaged") from None
                coding, machine = "raw", zlib.decompressobj(-zlib.MAX_WBITS)
                continue
            chunk = machine.unconsumed_tail or machine.unused_data
            given += len(piece)
            if given > FREE_BYTES and given > taken * MOST_RATIO:
                raise TooLarge("the source's compressed answer unpacks to far too much")
            if piece:
                yield piece
    if rest := machine.flush():
        yield rest
    if not machine.eof:
        raise SourceUnreachable("the source's compressed answer ends early")


def _new_decompressor(coding: str) -> zlib._Decompress:
    return zlib.decompressobj(16 + zlib.MAX_WBITS if coding == "gzip" else zlib.MAX_WBITS)
