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


class CarReader:
    """A CAR stream, parsed by a small reader of our own that checks the header and every block's hash."""

    def __init__(self, stream: bytes) -> None:
        length, at = _read_varint(stream, 0)
        header, at = stream[at : at + length], at + length
        assert header.startswith(b"\xa2eroots\x81\xd8*X%\x00") and header.endswith(b"gversion\x01")
        self.root = header[-45:-9]
        self.blocks: dict[bytes, bytes] = {}
        while at < len(stream):
            length, at = _read_varint(stream, at)
            cid, data = stream[at : at + 36], stream[at + 36 : at + length]
            assert cid == b"\x01\x70\x12\x20" + hashlib.sha256(data).digest()
            self.blocks[cid] = data
            at += length

    @classmethod
    def over_blocks(cls, blocks: dict[bytes, bytes]) -> CarReader:
        """Make a reader over blocks that came without a CAR stream; it has no root."""
        made = cls.__new__(cls)
        made.root, made.blocks = b"", blocks
        return made

    def read_content(self, path: str) -> bytes:
        cid = self.root
        for name in path.split("/"):
            cid = self.read_links(cid)[name]
        return self.read_file(cid)

    def read_links(self, cid: bytes) -> dict[str, bytes]:
        return {name.decode(): hash_ for hash_, name, _ in self._linked_entries(cid)}

    def read_file(self, cid: bytes) -> bytes:
        (unixfs,) = [value for number, value in _read_fields(self.blocks[cid]) if number == 1]
        found = dict(_read_fields(unixfs))
        whole: bytes = found.get(2, b"") + b"".join(
            self.read_file(hash_) for hash_, _, _ in self._linked_entries(cid)
        )
        assert found[1] == 2 and found[3] == len(whole)
        return whole

    def total_bytes(self, cid: bytes) -> int:
        """Return the bytes of the blocks at and below a node, counting a repeated block each time."""
        return len(self.blocks[cid]) + sum(
            self.total_bytes(hash_) for hash_, _, _ in self._linked_entries(cid)
        )

    def check_sizes(self) -> None:
        for cid in self.blocks:
            for hash_, _, size in self._linked_entries(cid):
                assert size == self.total_bytes(hash_)

    def _linked_entries(self, cid: bytes) -> list[tuple[bytes, bytes, int]]:
        links = [dict(_read_fields(value)) for number, value in _read_fields(self.blocks[cid]) if number == 2]
        return [(link[1], link[2], link[3]) for link in links]


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        number |= (data[at] & 127) << shift
        at, shift = at + 1, shift + 7
        if data[at - 1] < 128:
            return number, at


def _read_fields(data: bytes) -> Iterator[tuple[int, Any]]:
    at = 0
    while at < len(data):
        tag, at = _read_varint(data, at)
        value, at = _read_varint(data, at)
        if tag & 7 == 2:
            yield tag >> 3, data[at : at + value]
            at += value
        else:
            assert tag & 7 == 0
            yield tag >> 3, value


class IpfsGateway:
    """Serves ``/ipfs/CID/path`` and ``?format=raw`` from ``blocks``; ``asked`` keeps every request."""

    def __init__(self) -> None:
        self.blocks: dict[bytes, bytes] = {}
        self.asked: list[str] = []

    def gateway_app(self) -> Starlette:
        return Starlette(routes=[Route("/ipfs/{path:path}", self._serve_block)])

    def add_block(self, content: bytes) -> str:
        """Store content as Kubo stores a publisher's small file, as one raw block; return its CID."""
        cid = b"\x01\x55\x12\x20" + hashlib.sha256(content).digest()
        self.blocks[cid] = content
        return "b" + base64.b32encode(cid).decode().lower().rstrip("=")

    async def _serve_block(self, request: Request) -> Response:
        self.asked.append(f"{request.method} {request.url.path}?{request.url.query}")
        first, *names = request.path_params["path"].strip("/").split("/")
        opened = CarReader.over_blocks(self.blocks)
        try:
            cid = base64.b32decode(first[1:].upper() + "=" * (-len(first[1:]) % 8))
            for name in names:
                cid = opened.read_links(cid)[name]
            if request.query_params.get("format") == "raw":
                return Response(self.blocks[cid], media_type="application/vnd.ipld.raw")
            return Response(self.blocks[cid] if cid[1] == 0x55 else opened.read_file(cid))
        except (KeyError, ValueError):
            return Response("not found", 404)
