"""Reads pictures block by block to their last byte: an accepted file is a picture and nothing beside it.

What the pixels show, nobody can check here. Text and other data that formats let one add is limited.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from c2d_box.pods.judge.tables import Unfit

CHUNK = 1 << 16
"""Bytes read or unpacked at a time."""
PIXELS = 100_000_000
"""The most pixels that are checked: a header of a few bytes can claim any number."""
ADDED = 64 << 10
"""The most bytes of blocks that are no part of the picture: comments, profiles, what wrote it."""
_PNG = b"\x89PNG\r\n\x1a\n"
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""Values per pixel for each colour type of a PNG."""
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
"""Bits of a sample that the PNG specification allows for each colour type."""
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""The passes of an interlaced PNG: first column, first row, step of columns, step of rows."""
_JPEG_FRAMES = frozenset({0xC0, 0xC1, 0xC2})
"""Frames of baseline, extended and progressive pictures; any other kind is refused."""
_JPEG_TABLES = frozenset({0xC4, 0xDB, 0xDD})
"""Huffman tables, quantisation tables and the restart interval."""


def check_png(file: BinaryIO) -> None:
    """Check a PNG file; raise Unfit."""
    unfit = Unfit("its content is not png")
    if file.read(8) != _PNG:
        raise unfit
    pixels = _PngPixels(unfit)
    added, first = 0, True
    while True:
        head = _read_exactly(file, 8, unfit)
        length, kind = struct.unpack(">I4s", head)
        # IHDR comes first, and a chunk has at most 2**31 - 1 bytes.
        if (first and kind != b"IHDR") or length > 0x7FFFFFFF:
            raise unfit
        # A chunk with a wrong checksum is refused: a reader that skips it would not miss what it holds.
        checksum = zlib.crc32(kind)
        for piece in _read_pieces(file, length, unfit):
            checksum = zlib.crc32(piece, checksum)
            if kind == b"IHDR":
                pixels.begin_picture(piece, length, first)
            elif kind == b"IDAT":
                pixels.take_data(piece)
            else:
                # Chunks that are no pixels may hold text; palettes count with them.
                added += len(piece)
        if struct.unpack(">I", _read_exactly(file, 4, unfit))[0] != checksum or added > ADDED:
            raise unfit
        first = False
        if kind == b"IEND":
            break
    pixels.end_picture()
    # Bytes behind the end belong to no picture, and every viewer ignores them.
    if length or file.read(1):
        raise unfit


class _PngPixels:
    """Unpacks the compressed pixels, counts them and throws them away."""

    def __init__(self, unfit: Unfit) -> None:
        self._unfit = unfit
        self._left = -1
        self._unpacker = zlib.decompressobj()

    def begin_picture(self, head: bytes, length: int, first: bool) -> None:
        """Read the header and compute how many bytes the pixels have to unpack to, filter bytes included."""
        if not first or length != 13 or len(head) != 13:
            raise self._unfit
        width, height, depth, colour, packing, filtering, interlaced = struct.unpack(">IIBBBBB", head)
        if depth not in _DEPTHS.get(colour, ()) or packing or filtering or interlaced > 1:
            raise self._unfit
        if not 0 < width * height <= PIXELS:
            raise Unfit("it is too large a picture to be checked")
        bits = depth * _SAMPLES[colour]
        parts = [(width, height)]
        if interlaced:
            # Adam7: each pass is a small picture of its own, with rows rounded up.
            parts = [(-(-(width - x) // dx), -(-(height - y) // dy)) for x, y, dx, dy in _PASSES]
        self._left = sum(rows * (1 + (columns * bits + 7) // 8) for columns, rows in parts if columns > 0)

    def take_data(self, packed: bytes) -> None:
        """Unpack compressed pixels and count them. Bytes behind the end of the compressed stream are
        refused."""
        try:
            while packed and not self._unpacker.eof:
                self._left -= len(self._unpacker.decompress(packed, CHUNK))
                packed = self._unpacker.unconsumed_tail
                if self._left < 0:
                    raise self._unfit
        except zlib.error as problem:
            raise self._unfit from problem
        if packed or self._unpacker.unused_data:
            raise self._unfit

    def end_picture(self) -> None:
        """Demand that there were exactly as many bytes as the header announced."""
        if self._left != 0 or not self._unpacker.eof:
            raise self._unfit


def check_jpeg(file: BinaryIO) -> None:
    """Check a JPEG file, baseline or progressive; raise Unfit. Of the scans it is only checked that they end
    with the file and are no longer than such a picture can need."""
    unfit = Unfit("its content is not jpeg")
    if file.read(2) != b"\xff\xd8":
        raise unfit
    added, tables, room = 0, 0, -1
    while True:
        mark = _read_exactly(file, 2, unfit)
        # Marks without a length (stuffing, restarts, begin and end) have no place here.
        if mark[0] != 0xFF or mark[1] in (0x00, 0xFF) or 0xD0 <= mark[1] <= 0xD9:
            raise unfit
        length = struct.unpack(">H", _read_exactly(file, 2, unfit))[0] - 2
        if length < 0:
            raise unfit
        content = _read_exactly(file, length, unfit)
        if mark[1] in _JPEG_FRAMES and room < 0:
            room = _jpeg_room(content, unfit)
        # Comments and application segments (EXIF, ICC, JFIF): text and profiles.
        elif mark[1] == 0xFE or 0xE0 <= mark[1] <= 0xEF:
            added += length
        elif mark[1] in _JPEG_TABLES:
            tables += length
        elif mark[1] != 0xDA:
            raise unfit
        if added > ADDED or tables > ADDED:
            raise unfit
        if mark[1] == 0xDA:
            begin = file.tell()
            # A scan needs a frame before it, and its head has a fixed length for its components.
            if room < 0 or not content or length != 4 + 2 * content[0]:
                raise unfit
            ended = _skip_scan(file, unfit)
            # All scans share the room: a progressive picture has many.
            room -= file.tell() - begin
            if room < 0:
                raise unfit
            if ended:
                break
    if file.read(1):
        raise unfit


def _jpeg_room(frame: bytes, unfit: Unfit) -> int:
    """Return the bytes that all scans of a picture of this frame can need: per value four, of blocks that are
    whole."""
    if len(frame) < 6 or not 1 <= frame[5] <= 4 or len(frame) != 6 + 3 * frame[5]:
        raise unfit
    height, width = int.from_bytes(frame[1:3]), int.from_bytes(frame[3:5])
    if not 0 < width * height <= PIXELS:
        raise unfit
    return 4 * frame[5] * (width + 32) * (height + 32)


def _skip_scan(file: BinaryIO, unfit: Unfit) -> bool:
    """Read on to the next mark; return True where that is the end of the picture."""
    while True:
        piece = file.read(CHUNK)
        at = 0
        while (at := piece.find(b"\xff", at)) >= 0:
            # The mark may lie across two pieces.
            if at + 1 == len(piece):
                piece += file.read(1)
            following = piece[at + 1] if at + 1 < len(piece) else -1
            # A stuffed 0xFF of the data, or a restart mark: the scan goes on.
            if following == 0x00 or 0xD0 <= following <= 0xD7:
                at += 2
                continue
            if following == 0xD9:
                file.seek(at + 2 - len(piece), 1)
                return True
            if following == -1:
                raise unfit
            file.seek(at - len(piece), 1)
            return False
        if not piece:
            raise unfit


def check_gif(file: BinaryIO) -> None:
    """Check a GIF file; raise Unfit."""
    unfit = Unfit("its content is not gif")
    if file.read(6) not in (b"GIF87a", b"GIF89a"):
        raise unfit
    width, height, flags = struct.unpack("<HHB2x", _read_exactly(file, 7, unfit))
    if width * height > PIXELS:
        raise Unfit("it is too large a picture to be checked")
    _skip_colours(file, flags, unfit)
    added, frames = 0, 0
    while (mark := _read_exactly(file, 1, unfit)) != b"\x3b":
        # An extension: comment, application or control block, all counted as added.
        if mark == b"\x21":
            _read_exactly(file, 1, unfit)
            added += _skip_blocks(file, unfit)
        elif mark == b"\x2c":
            frames += 1
            across, down, marks = struct.unpack("<4xHHB", _read_exactly(file, 9, unfit))
            _skip_colours(file, marks, unfit)
            # The size of the first LZW code.
            _read_exactly(file, 1, unfit)
            # A code has twelve bits at most, and each pixel needs at most one code.
            if not 0 < across * down <= PIXELS or _skip_blocks(file, unfit) > 2 * across * down + 1024:
                raise unfit
        else:
            raise unfit
        if added > ADDED:
            raise unfit
    if not frames or file.read(1):
        raise unfit


def _skip_colours(file: BinaryIO, flags: int, unfit: Unfit) -> None:
    """Skip a colour table where the flags announce one: 2 to 256 colours of three bytes."""
    if flags & 0x80:
        _read_exactly(file, 3 << ((flags & 7) + 1), unfit)


def _skip_blocks(file: BinaryIO, unfit: Unfit) -> int:
    """Skip sub-blocks up to the empty one, and return how many bytes they held."""
    total = 0
    while length := _read_exactly(file, 1, unfit)[0]:
        total += len(_read_exactly(file, length, unfit))
    return total


def _read_exactly(file: BinaryIO, count: int, unfit: Unfit) -> bytes:
    """Return so many bytes; a file that ends before is no picture."""
    found = file.read(count)
    if len(found) != count:
        raise unfit
    return found


def _read_pieces(file: BinaryIO, count: int, unfit: Unfit) -> Iterator[bytes]:
    """Yield so many bytes in pieces: a chunk of a PNG may have two gigabytes."""
    while count:
        piece = _read_exactly(file, min(count, CHUNK), unfit)
        count -= len(piece)
        yield piece
