"""Every kind of source behaves the same behind the port: bytes, length, closing, refusal, checksum,
silence on errors."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from c2d_box.assets.files import FILE_TYPES, FileObject, SmartContractFile, UrlFile, parse_file
from c2d_box.storage import AddressRules, Fetcher, OpenFile, Storage, StorageError
from tests.file_samples import sample_files

CONTENT = b'"' + b"0123456789" * 20_000 + b'"'
KINDS = ["url POST", *FILE_TYPES]


class Source:
    """A server that has one file whatever it is asked for, or nothing when it is ``empty``."""

    def __init__(self) -> None:
        self.origin = ""
        self.empty = False
        self.open = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            body = b"" if self.empty else CONTENT
            status = "404 Not Found" if self.empty else "200 OK"
            writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode())
            if not head.startswith("HEAD"):
                writer.write(body)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.open -= 1
            writer.close()

    async def contract(self, file: SmartContractFile, arguments: list[Any]) -> Any:
        if self.empty:
            raise ValueError("http://secret.example reverted")
        return CONTENT[1:-1].decode()


@asynccontextmanager
async def world() -> AsyncIterator[tuple[Source, Storage]]:
    source = Source()
    listening = await asyncio.start_server(source.serve, "127.0.0.1", 0)
    source.origin = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    fetcher = Fetcher(AddressRules([source.origin]))
    async with listening:
        yield source, Storage(fetcher, dict.fromkeys(FILE_TYPES, source.origin), source.contract)


def file_of(kind: str, origin: str) -> FileObject:
    if kind == "url POST":
        return UrlFile(f"{origin}/secret", "POST")
    return parse_file(sample_files(origin)[kind])


async def read(opened: OpenFile) -> bytes:
    return b"".join([chunk async for chunk in opened.chunks])


@pytest.mark.parametrize("kind", KINDS)
async def test_bytes_and_length(kind: str) -> None:
    async with world() as (source, storage):
        opened = await storage.open(file_of(kind, source.origin))
        assert opened.meta.length == len(CONTENT)
        assert await read(opened) == CONTENT
        opened.close()
        opened.close()


@pytest.mark.parametrize("kind", KINDS)
async def test_closing_unread_lets_the_source_go(kind: str) -> None:
    async with world() as (source, storage):
        opened = await storage.open(file_of(kind, source.origin))
        opened.close()
        async with asyncio.timeout(2):
            while source.open:  # noqa: ASYNC110 - the other side's bookkeeping
                await asyncio.sleep(0.005)


@pytest.mark.parametrize("kind", KINDS)
async def test_what_is_not_there_is_an_error_without_details(kind: str) -> None:
    async with world() as (source, storage):
        source.empty = True
        with pytest.raises(StorageError) as problem:
            await storage.open(file_of(kind, source.origin))
        assert "secret" not in problem.value.text and "://" not in problem.value.text
        assert not (await storage.probe(file_of(kind, source.origin))).valid


@pytest.mark.parametrize("kind", KINDS)
async def test_probing_and_hashing(kind: str) -> None:
    async with world() as (source, storage):
        file = file_of(kind, source.origin)
        probe = await storage.probe(file)
        assert probe.valid and probe.meta.length == len(CONTENT) and probe.sha256 is None
        expected = hashlib.sha256(CONTENT).hexdigest()
        assert (await storage.probe(file, checksum_limit=1 << 20)).sha256 == expected
        assert (await storage.probe(file, checksum_limit=100)).sha256 is None
        assert (await storage.probe(file, checksum_limit=1 << 20, anew=True)).sha256 == expected


@pytest.mark.parametrize("kind", KINDS)
def test_no_file_shows_its_secret(kind: str) -> None:
    assert "secret" not in repr(file_of(kind, "http://secret.example")).lower()
