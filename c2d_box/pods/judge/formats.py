"""Tells which archive format a file is, from more than its first bytes.

Four bytes are no proof: a file of numbers may begin with any of them, a list of names with ``BZh``. What a
reader of the format would check next is checked here: header checksums where there are any, else the header
and the first blocks. A file that fails that is no archive to anybody's reader either.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from typing import BinaryIO

_HEAD = 64
"""Bytes from the beginning that are read; the headers of all formats end before."""
_ZSTANDARD_BLOCK = 128 << 10
"""The largest block that the format allows (RFC 8878, 3.1.1.2.4)."""
_BZIP2_BLOCKS = (b"\x31\x41\x59\x26\x53\x59", b"\x17\x72\x45\x38\x50\x90")
"""The two marks that may follow the header: of a block (pi), and of the end (its square root)."""
READABLE = ("gzip", "bzip2", "xz", "zip")
"""Formats that can be looked into."""


def archive_kind(file: BinaryIO) -> str | None:
    """Return the name of the format; None for what is no archive of a known one."""
    file.seek(0)
    head = file.read(_HEAD)
    for magic, (name, proof) in _FORMATS.items():
        if head.startswith(magic):
            return name if proof(head, file) else None
    # A zip is read from its end: it may follow other bytes, as in a program that unpacks itself.
    return "zip" if head.startswith(b"PK\x03\x04") or zipfile.is_zipfile(file) else None


def _is_gzip(head: bytes, _file: BinaryIO) -> bool:
    """Check the reserved flags, which have to be zero (RFC 1952, 2.3.1.2)."""
    return len(head) > 3 and not head[3] & 0xE0  # flags that no version defines


def _is_bzip2(head: bytes, _file: BinaryIO) -> bool:
    """Check the block size, a digit from 1 to 9, and the mark that follows it."""
    return head[3:4].isdigit() and head[3:4] != b"0" and head[4:10] in _BZIP2_BLOCKS


def _is_xz(head: bytes, _file: BinaryIO) -> bool:
    """Check the CRC32 of the stream flags."""
    return len(head) >= 12 and zlib.crc32(head[6:8]) == struct.unpack("<I", head[8:12])[0]


def _is_seven_zip(head: bytes, _file: BinaryIO) -> bool:
    """Check the CRC32 of the start header."""
    return len(head) >= 32 and zlib.crc32(head[12:32]) == struct.unpack("<I", head[8:12])[0]


def _is_rar(head: bytes, _file: BinaryIO) -> bool:
    """Check the bytes behind the magic number: those of version 4, or those of version 5."""
    return head[6:7] == b"\0" or head[6:8] == b"\x01\0"


def _is_lz4(head: bytes, _file: BinaryIO) -> bool:
    """Check the descriptor's version, its reserved bits, and its checksum."""
    if len(head) < 7 or head[4] >> 6 != 1 or head[4] & 2 or head[5] & 0x8F:
        return False
    # FLG and BD, then the content's size and the dictionary's id where the flags say so.
    size = 2 + (8 if head[4] & 8 else 0) + (4 if head[4] & 1 else 0)
    descriptor = head[4 : 4 + size]
    return len(head) > 4 + size and head[4 + size] == (_xxh32_checksum(descriptor) >> 8) & 0xFF


def _is_zstandard(head: bytes, file: BinaryIO) -> bool:
    """Check the header's reserved bit, and the first two blocks: kind, size, and that the file has them."""
    if len(head) < 6 or head[4] & 8:
        return False
    single = head[4] & 0x20
    content = (1 if single else 0, 2, 4, 8)[head[4] >> 6]
    # Magic, descriptor, window (not for a single segment), dictionary id, content size: RFC 8878, 3.1.1.1.
    at = 5 + (0 if single else 1) + (0, 1, 2, 4)[head[4] & 3] + content
    size = file.seek(0, io.SEEK_END)
    # Two blocks, because one may fit by chance.
    for _ in range(2):
        file.seek(at)
        header = file.read(3)
        if len(header) < 3:
            return False
        block = int.from_bytes(header, "little")
        kind, length = block >> 1 & 3, block >> 3
        # An RLE block is one byte that stands for many.
        at += 3 + (1 if kind == 1 else length)
        if kind == 3 or length > _ZSTANDARD_BLOCK or at > size:
            return False
        if block & 1:
            break
    return True


def _xxh32_checksum(data: bytes) -> int:
    """Return XXH32 with seed 0 of fewer than 16 bytes, which LZ4's header is; longer input would need the
    striped rounds."""
    most = 0xFFFFFFFF
    found, at = (374761393 + len(data)) & most, 0
    while at + 4 <= len(data):
        found = (found + int.from_bytes(data[at : at + 4], "little") * 3266489917) & most
        found = ((found << 17 | found >> 15) & most) * 668265263 & most
        at += 4
    for byte in data[at:]:
        found = (found + byte * 374761393) & most
        found = ((found << 11 | found >> 21) & most) * 2654435761 & most
    for shift, prime in ((15, 2246822519), (13, 3266489917), (16, 1)):
        found = (found ^ found >> shift) * prime & most
    return found


_FORMATS: dict[bytes, tuple[str, Callable[[bytes, BinaryIO], bool]]] = {
    b"\x1f\x8b\x08": ("gzip", _is_gzip),
    b"BZh": ("bzip2", _is_bzip2),
    b"\xfd7zXZ\0": ("xz", _is_xz),
    b"\x28\xb5\x2f\xfd": ("Zstandard", _is_zstandard),
    b"7z\xbc\xaf\x27\x1c": ("7z", _is_seven_zip),
    b"Rar!\x1a\x07": ("RAR", _is_rar),
    b"\x04\x22\x4d\x18": ("LZ4", _is_lz4),
}
