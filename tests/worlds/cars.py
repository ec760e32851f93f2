"""An independent CAR reader that checks every block, and an IPFS gateway that serves blocks."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


class Opened:
    """A CAR stream, parsed by a small reader of our own that checks the header and every block's hash."""

    def __init__(self, stream: bytes) -> None:
        length, at = _varint(stream, 0)
        header, at = stream[at : at + length], at + length
        assert header.startswith(b"\xa2eroots\x81\xd8*X%\x00") and header.endswith(b"gversion\x01")
        self.root = header[-45:-9]
        self.blocks: dict[bytes, bytes] = {}
        while at < len(stream):
            length, at = _varint(stream, at)
            cid, data = stream[at : at + 36], stream[at + 36 : at + length]
            assert cid == b"\x01\x70\x12\x20" + hashlib.sha256(data).digest()
            self.blocks[cid] = data
            at += length

    @classmethod
    def over(cls, blocks: dict[bytes, bytes]) -> Opened:
        """Make a reader over blocks that came without a CAR stream; it has no root."""
        made = cls.__new__(cls)
        made.root, made.blocks = b"", blocks
        return made

    def content(self, path: str) -> bytes:
        cid = self.root
        for name in path.split("/"):
            cid = self.links(cid)[name]
        return self.file(cid)

    def links(self, cid: bytes) -> dict[str, bytes]:
        return {name.decode(): hash_ for hash_, name, _ in self._linked(cid)}

    def file(self, cid: bytes) -> bytes:
        (unixfs,) = [value for number, value in _fields(self.blocks[cid]) if number == 1]
        found = dict(_fields(unixfs))
        whole: bytes = found.get(2, b"") + b"".join(self.file(hash_) for hash_, _, _ in self._linked(cid))
        assert found[1] == 2 and found[3] == len(whole)
        return whole

    def total(self, cid: bytes) -> int:
        """Return the bytes of the blocks at and below a node, counting a repeated block each time."""
        return len(self.blocks[cid]) + sum(self.total(hash_) for hash_, _, _ in self._linked(cid))

    def check_sizes(self) -> None:
        for cid in self.blocks:
            for hash_, _, size in self._linked(cid):
                assert size == self.total(hash_)

    def _linked(self, cid: bytes) -> list[tuple[bytes, bytes, int]]:
        links = [dict(_fields(value)) for number, value in _fields(self.blocks[cid]) if number == 2]
        return [(link[1], link[2], link[3]) for link in links]


def _varint(data: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        number |= (data[at] & 127) << shift
        at, shift = at + 1, shift + 7
        if data[at - 1] < 128:
            return number, at


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        value, at = _varint(data, at)
        if tag & 7 == 2:
            yield tag >> 3, data[at : at + value]
            at += value
        else:
            assert tag & 7 == 0
            yield tag >> 3, value


class Gateway:
    """Serves ``/ipfs/CID/path`` and ``?format=raw`` from ``blocks``; ``asked`` keeps every request."""

    def __init__(self) -> None:
        self.blocks: dict[bytes, bytes] = {}
        self.asked: list[str] = []

    def app(self) -> Starlette:
        return Starlette(routes=[Route("/ipfs/{path:path}", self._serve)])

    def add(self, content: bytes) -> str:
        """Store content as Kubo stores a publisher's small file, as one raw block; return its CID."""
        cid = b"\x01\x55\x12\x20" + hashlib.sha256(content).digest()
        self.blocks[cid] = content
        return "b" + base64.b32encode(cid).decode().lower().rstrip("=")

    async def _serve(self, request: Request) -> Response:
        self.asked.append(f"{request.method} {request.url.path}?{request.url.query}")
        first, *names = request.path_params["path"].strip("/").split("/")
        opened = Opened.over(self.blocks)
        try:
            cid = base64.b32decode(first[1:].upper() + "=" * (-len(first[1:]) % 8))
            for name in names:
                cid = opened.links(cid)[name]
            if request.query_params.get("format") == "raw":
                return Response(self.blocks[cid], media_type="application/vnd.ipld.raw")
            return Response(self.blocks[cid] if cid[1] == 0x55 else opened.file(cid))
        except (KeyError, ValueError):
            return Response("not found", 404)
