"""HTTP's content encodings undone: a file is what its author stored, not how a server packed it for the way.

Nothing packed is asked for, yet some servers send it. Unpacking is bounded in memory by its steps, and in all
by a ratio that no honest table reaches: a few kilobytes can unpack to gigabytes.
"""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator

from c2d_box.storage.errors import FileUnusable, SourceUnreachable, TooLarge

STEP = 1 << 18
"""Bytes that one step may unpack, which bounds the memory whatever is packed."""
FREE_BYTES = 16 << 20
"""Unpacked bytes without a look at the ratio: so much harms nobody, and small files can be packed
extremely well."""
MOST_RATIO = 250
"""Unpacked bytes per packed byte. Tables of repeated values stay far below; deflate's maximum is about
1,030."""

_GZIP = ("gzip", "x-gzip")
_NONE = ("", "identity")


def is_packed(headers: dict[str, str]) -> bool:
    """Return whether the answer's body is encoded."""
    return headers.get("content-encoding", "").strip().lower() not in _NONE


def coding_of(headers: dict[str, str]) -> str:
    """Return the encoding to undo, empty for none. Raise FileUnusable for one that is not known here:
    handing packed bytes on would give a file with another hash than its author's."""
    coding = headers.get("content-encoding", "").strip().lower()
    if coding in _NONE:
        return ""
    if coding in _GZIP:
        return "gzip"
    if coding == "deflate":
        return coding
    raise FileUnusable("the source sends a content encoding that was not asked for")


async def unpack_chunks(chunks: AsyncIterator[bytes], coding: str) -> AsyncIterator[bytes]:
    """Yield the bytes behind the encoding. Raise SourceUnreachable where it is damaged or ends early,
    TooLarge where it unpacks to far more than it holds."""
    machine, taken, given = _new_decompressor(coding), 0, 0
    async for chunk in chunks:
        taken += len(chunk)
        while chunk:
            # A gzip file may consist of several members, one after the other (RFC 1952).
            if machine.eof:
                if coding != "gzip" or not chunk.startswith(b"\x1f"):
                    break  # padding after the end
                machine = _new_decompressor(coding)
            try:
                piece = machine.decompress(chunk, STEP)
            except zlib.error:
                # Some servers send raw deflate without the zlib frame that HTTP demands (RFC 9110); browsers
                # take both.
                if coding != "deflate" or given:
                    raise SourceUnreachable("the source's compressed answer is damaged") from None
                coding, machine = "raw", zlib.decompressobj(-zlib.MAX_WBITS)
                continue
            # The bytes that the step did not take: the rest of this member, or the beginning of the next one.
            chunk = machine.unconsumed_tail or machine.unused_data
            given += len(piece)
            # While it is unpacked, since a bomb must be stopped before it is complete.
            if given > FREE_BYTES and given > taken * MOST_RATIO:
                raise TooLarge("the source's compressed answer unpacks to far too much")
            if piece:
                yield piece
    if rest := machine.flush():
        yield rest
    # The length of the packed body may fit, and the last member still be cut off.
    if not machine.eof:
        raise SourceUnreachable("the source's compressed answer ends early")


def _new_decompressor(coding: str) -> zlib._Decompress:
    """Return a decompressor for gzip or for deflate with its zlib frame."""
    return zlib.decompressobj(16 + zlib.MAX_WBITS if coding == "gzip" else zlib.MAX_WBITS)
