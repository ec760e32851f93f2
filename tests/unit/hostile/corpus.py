"""Hostile bytes of every kind that the product parses, made anew from a seed: small in CI, larger with
``--full``."""

from __future__ import annotations

import bz2
import copy
import gzip
import io
import json
import lzma
import random
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

DEEP = 200_000
_MARK = "@@deep@@"

#: JSON that has ended a process, stopped a service or been believed; each is refused or harmless.
TEXTS: Mapping[str, bytes] = {
    "brackets": b"[" * DEEP,
    "braces": b'{"a":' * (DEEP // 5),
    "closed brackets": b"[" * (DEEP // 2) + b"]" * (DEEP // 2),
    "what ended the Provider": b"[" * 58_234,
    "just too deep": b"[" * 65 + b"]" * 65,
    "hundred deep": b"[" * 100 + b"]" * 100,
    "surrogate value": b'{"id":"\\ud800"}',
    "surrogate key": b'{"\\udfff":1}',
    "raw surrogate": b'{"id":"\xed\xa0\x80"}',
    "not UTF-8": b'{"id":"\xff\xfe"}',
    "UTF-16": '{"id": 1}'.encode("utf-16"),
    "byte order mark": b"\xef\xbb\xbf{}",
    "NaN": b'{"nonce":NaN}',
    "Infinity": b'{"nonce":-Infinity}',
    "too large for a double": b'{"nonce":1e400}',
    "digits": b'{"nonce":' + b"9" * 5_000 + b"}",
    "NUL": b'{"consumerAddress":"\\u0000"}',
    "raw NUL": b'{"consumerAddress":"\x00"}',
    "many lists": b"[" + b"[]," * 300_000 + b"[]]",
    "many keys": b"{" + b",".join(b'"%d":0' % n for n in range(150_000)) + b"}",
    "one key again and again": b"{" + b",".join([b'"a":1'] * 50_000) + b"}",
    "long string": b'"' + b"x" * 1_500_000 + b'"',
    "open string": b'"' + b'\\"' * 300_000,
    "nothing": b"",
    "only space": b" " * 100_000,
    "null": b"null",
    "a number": b"-0",
    "a text": b'"x"',
    "a list": b"[1]",
    "dotted keys": b'{"algorithm.documentId":"a","compute.env":"e","compute.validUntil":1,"datasets":[1],'
    b'"consumerAddress":"0x","dataset.documentId":"d","dataset.serviceId":"s"}',
    "prototype": b'{"__proto__":{"a":1},"constructor":{"prototype":{}},"__class__":"x"}',
}
_VALUES: tuple[Any, ...] = (
    None,
    True,
    -1,
    2**53,
    2**300,
    1e308,
    float("nan"),
    "",
    "\ud800",
    "\0",
    "\u202e\x1b]52;c;AAAA\x07",
    "9" * 1_000,
    "x" * 70_000,
    "did:op:" + "ff" * 32,
    "0x" + "0" * 5_000,
    [],
    {},
    [[]],
    [None] * 1_000,
    {"a.b": {"": []}},
    {"\udfff": "\udfff"},
    _MARK,
)


def texts(seed: str, count: int, *templates: Any) -> Iterator[tuple[str, bytes]]:
    """The known ones, then ``count`` mutations of what the service expects."""
    yield from TEXTS.items()
    chance = random.Random(f"json {seed}")
    for number in range(count if templates else 0):
        yield f"mutation {number} of seed {seed}", _mutated(chance, chance.choice(templates))


def with_deep(field: str, depth: int = DEEP) -> bytes:
    """An object whose ``field``, dots reaching into objects, is too deep."""
    text = b"[" * depth
    for name in reversed(field.split(".")):
        text = b'{"' + name.encode() + b'":' + text
    return text


def tables(seed: str, count: int) -> Iterator[tuple[str, bytes]]:
    """CSV and TSV."""
    yield "columns", b",".join([b"x"] * 1_000_000)
    yield "one cell", b'"' + b"x" * 3_000_000
    yield "quotes", b'"' * 1_000_000
    yield "lines", b"\n" * 1_000_000
    yield "ragged", b"a,b\n" + b",".join([b"1"] * 100_000) + b"\n1\n"
    yield "NUL", b"a,b\n\0,\0\n"
    yield "UTF-16", "a,b\n1,2\n".encode("utf-16")
    yield "not UTF-8", b"a,b\n\xff,\xfe\n"
    yield "count column", b"count,v\n99,patient\n" + b"1e400,x\nNaN,y\n-1,z\n"
    yield "carriage returns", b"a,b\r1,2\r3,4\r"
    chance = random.Random(f"csv {seed}")
    for number in range(count):
        alphabet = b',;\t"\n\r\0ab1\xff\xc3='
        yield f"random {number}", bytes(chance.choices(alphabet, k=chance.randrange(2_000)))


def images(seed: str, count: int) -> Iterator[tuple[str, bytes]]:
    """PNG, JPEG and GIF that promise more than they are."""
    yield "tall.png", png(1, 39_999_999)
    yield "large.png", png(30_000, 30_000)
    yield "cut.png", png(100, 100)[:60]
    yield "head.png", b"\x89PNG\r\n\x1a\n"
    yield "text.png", b"\x89PNG\r\n\x1a\n" + b"patient,42\n" * 1_000
    yield "end.jpg", b"\xff\xd8\xff\xe0" + b"patient" * 1_000
    yield "large.gif", b"GIF89a\xff\xff\xff\xff\x00\x00\x00,"
    chance = random.Random(f"image {seed}")
    whole = png(64, 64)
    for number in range(count):
        broken = bytearray(whole)
        for _ in range(chance.randrange(1, 8)):
            broken[chance.randrange(len(broken))] = chance.randrange(256)
        yield f"broken-{number}.png", bytes(broken)


def archives(seed: str, count: int) -> Iterator[tuple[str, bytes]]:
    """Bombs, nests, lies and links."""
    zeros = bytes(50 << 20)
    yield "bomb.gz", gzip.compress(zeros)
    yield "bomb.bz2", bz2.compress(zeros)
    yield "bomb.xz", lzma.compress(zeros)
    yield "nest.gz", gzip.compress(gzip.compress(gzip.compress(zeros)))
    yield "bomb.zip", _zipped({f"{n}.txt": zeros[: 10 << 20] for n in range(5)})
    yield "many.zip", _zipped({f"{n}": b"" for n in range(5_000)})
    yield "names.zip", _zipped({"../../up": b"x", "/root": b"x", "a\\b": b"x", "x" * 5_000: b"x"})
    yield "links.tar", _linked()
    yield "cut.gz", gzip.compress(b"patient" * 1_000)[:-9]
    yield "cut.xz", lzma.compress(b"patient" * 1_000)[:-9]
    yield "tail.gz", gzip.compress(b"x") + b"patient,42\n" * 1_000
    yield "memory.xz", lzma.compress(b"x", preset=9 | lzma.PRESET_EXTREME)
    chance = random.Random(f"archive {seed}")
    wholes = [
        ("gz", gzip.compress(b"a" * 999)),
        ("zip", _zipped({"a": b"b" * 99})),
        ("xz", lzma.compress(b"a")),
    ]
    for number in range(count):
        kind, whole = chance.choice(wholes)
        broken = bytearray(whole)
        for _ in range(chance.randrange(1, 5)):
            broken[chance.randrange(len(broken))] = chance.randrange(256)
        yield f"broken-{number}.{kind}", bytes(broken)


def png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    packer = zlib.compressobj(9)
    row = bytes(1 + (width + 7) // 8)
    block = row * max(1, (1 << 20) // len(row))
    body, left = b"", len(row) * height
    while left > 0:
        body += packer.compress(block[:left])
        left -= len(block)
    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    body += packer.flush()
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def _mutated(chance: random.Random, template: Any) -> bytes:
    value = copy.deepcopy(template)
    for _ in range(chance.randrange(1, 4)):
        spots = list(_spots(value))
        if not spots:
            break
        holder, key = chance.choice(spots)
        holder[key] = copy.deepcopy(chance.choice(_VALUES))
    text = json.dumps(value).encode().replace(b'"%b"' % _MARK.encode(), b"[" * 60_000)
    match chance.randrange(8):
        case 0:
            return text[: chance.randrange(len(text) + 1)]
        case 1:
            broken = bytearray(text)
            broken[chance.randrange(len(broken))] = chance.randrange(256)
            return bytes(broken)
    return text


def _spots(value: Any) -> Iterator[tuple[Any, Any]]:
    """Each place in the value, as its holder and key."""
    if isinstance(value, dict | list):
        for key in list(value) if isinstance(value, dict) else range(len(value)):
            yield value, key
            yield from _spots(value[key])


def _zipped(members: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def _linked() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, target in (("a", "/etc/passwd"), ("b", "../../../up"), ("c", "c")):
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            archive.addfile(entry)
    return buffer.getvalue()
