"""Blocks of IPFS that nobody can guess: UnixFS nodes with a salt, and the mark by which they are recognised.

A block's name is the hash of its bytes, so anybody who guesses the bytes of a small file can ask a node
whether it has them. Every block of a result therefore carries a salt in a field of its UnixFS message that
readers skip: gateways serve the very bytes of the file, and the names tell nothing. The same field is the
mark by which the Provider refuses to read a result for anybody who merely knows its name.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

MARK: Final = b"c2d-result-v1:"
"""Beginning of a salt. It is versioned, because blocks that are stored keep it for good."""
SALT_BYTES: Final = 16
"""Bytes of a salt: 128 bits, which nobody can try through."""
_FIELD: Final = 1000
"""The number of the field in UnixFS's ``Data`` message; UnixFS itself uses 1 to 8."""
_DIRECTORY, _FILE = 1, 2
"""Kinds of nodes in UnixFS's ``DataType``."""
_LARGEST_NUMBER = 10
"""Bytes of a varint of 64 bits."""


@dataclass(frozen=True, slots=True)
class DagLink:
    """One node seen from its parent: ``content`` is the bytes of the file below it, ``size`` all blocks."""

    cid: bytes
    size: int
    content: int = 0
    name: str = ""


@dataclass(frozen=True, slots=True)
class DagBlock:
    """A node's bytes under their name."""

    link: DagLink
    data: bytes


def leaf_block(content: bytes, salt: bytes) -> DagBlock:
    """Return a piece of a file, or a whole small one."""
    return _encode_node((), _encode_data(_FILE, salt, content), len(content))


def branch_block(links: Iterable[DagLink], salt: bytes) -> DagBlock:
    """Return a file, or a stretch of one, made of the nodes below it in this order."""
    children = tuple(links)
    return _encode_node(children, _encode_data(_FILE, salt, None, [child.content for child in children]))


def directory_block(links: Iterable[DagLink], salt: bytes) -> DagBlock:
    """Return a folder. Its links are sorted by name, as readers expect them."""
    children = tuple(sorted(links, key=lambda link: link.name.encode()))
    return _encode_node(children, _encode_data(_DIRECTORY, salt, None))


def cid_text(cid: bytes) -> str:
    """Return a CID as people and gateways write it: version 1, base32 in lower case without padding."""
    return "b" + base64.b32encode(cid).decode().lower().rstrip("=")


def is_result(block: bytes) -> bool:
    """Return whether a raw block carries the mark; False for what is no UnixFS node at all."""
    return any(
        value.startswith(MARK)
        for number, data in _read_fields(block)
        if number == 1
        for inner, value in _read_fields(data)
        if inner == _FIELD
    )


def encode_varint(number: int) -> bytes:
    """Return an unsigned number as protobuf and CAR files write it: seven bits a byte, the lowest first."""
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)


def _encode_node(children: tuple[DagLink, ...], data: bytes, content: int = 0) -> DagBlock:
    """Return a dag-pb node. Links come before the data, which the format demands of the order of bytes."""
    encoded = b"".join(_bytes_field(2, _encode_link(child)) for child in children) + _bytes_field(1, data)
    # CID version 1, codec dag-pb (0x70), multihash sha2-256 (0x12) of 32 bytes (0x20).
    cid = b"\x01\x70\x12\x20" + hashlib.sha256(encoded).digest()
    below = sum(child.size for child in children)
    length = content or sum(child.content for child in children)
    return DagBlock(DagLink(cid, len(encoded) + below, length), encoded)


def _encode_link(link: DagLink) -> bytes:
    """Return a link: hash, name and the size of all blocks below it."""
    return _bytes_field(1, link.cid) + _bytes_field(2, link.name.encode()) + _number_field(3, link.size)


def _encode_data(kind: int, salt: bytes, content: bytes | None, sizes: Iterable[int] = ()) -> bytes:
    """Return the UnixFS message: kind, content or lengths of the parts, and the salt in a field that readers
    skip."""
    parts = [_number_field(1, kind)]
    lengths = list(sizes)
    if content is not None:
        parts.append(_bytes_field(2, content))
    # Readers seek by these: the length of the whole, then that of each child.
    if kind == _FILE:
        parts.append(_number_field(3, len(content) if content is not None else sum(lengths)))
        parts += [_number_field(4, length) for length in lengths]
    return b"".join([*parts, _bytes_field(_FIELD, MARK + salt)])


def _bytes_field(number: int, value: bytes) -> bytes:
    """Return a length-delimited field of protobuf (wire type 2)."""
    return encode_varint(number << 3 | 2) + encode_varint(len(value)) + value


def _number_field(number: int, value: int) -> bytes:
    """Return a varint field of protobuf (wire type 0)."""
    return encode_varint(number << 3) + encode_varint(value)


def _read_fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the byte fields of a protobuf message by number; end where the bytes are none."""
    at = 0
    while at < len(message):
        tag, at = _read_varint(message, at)
        kind = tag & 7
        # The bytes may be anything, since sources of strangers are asked as well: an odd message ends here
        # without an error.
        if tag < 0:
            return
        if kind == 0:
            value, at = _read_varint(message, at)
            if value < 0:
                return
        # Fixed fields of 64 and 32 bits, which UnixFS does not use.
        elif kind in (1, 5):
            at += 8 if kind == 1 else 4
        elif kind == 2:
            length, at = _read_varint(message, at)
            if length < 0 or at + length > len(message):
                return
            yield tag >> 3, message[at : at + length]
            at += length
        else:
            return


def _read_varint(message: bytes, at: int) -> tuple[int, int]:
    """Read a varint; return it, or -1 where there is none, and the position behind it."""
    number = 0
    for shift, byte in enumerate(message[at : at + _LARGEST_NUMBER]):
        number |= (byte & 0x7F) << 7 * shift
        if byte < 0x80:
            return number, at + shift + 1
    return -1, len(message)
