"""Servers that publishers name and that never answer delay nobody else's assets."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from c2d_box.chain.publishing import DispenserTerms, create_asset
from c2d_box.metadata.documents import CacheKey, DocumentDecryptor
from c2d_box.metadata.indexer import TooManyTriggers
from c2d_box.metadata.store import MetadataStore
from c2d_box.storage import AddressRules, Fetcher
from sandbox.testchain.local_chain import LocalChain, running_chain
from tests.harness.cache_world import PUBLISHER, CacheWorld, make_document
from tests.harness.local_stack import CACHE_KEY

TARPITS, PUBLICATIONS = 25, 50
LAG_SECONDS = 2.0


@pytest.fixture(scope="module")
def process() -> Iterator[LocalChain]:
    with running_chain() as chain:
        yield chain


class Servers:
    """Tarpits, each a host of its own, and a decryptor that answers at once with what ``documents`` holds
    of an NFT."""

    def __init__(self) -> None:
        self.documents: dict[str, bytes] = {}
        self.tarpits: list[str] = []
        self.open = self.most_open = self.asked = self.overlapping = 0
        self.honest = ""
        self._honest_busy = False
        self._servers: list[asyncio.Server] = []

    async def start(self) -> None:
        for _ in range(TARPITS):
            self.tarpits.append(await self._listen(self._swallow))
        self.honest = await self._listen(self._answer)

    async def _listen(self, handler: Any) -> str:
        server = await asyncio.start_server(handler, "127.0.0.1", 0)
        self._servers.append(server)
        return f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    async def _swallow(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Sends a byte of a head now and then, as tarpits do."""
        self.open, self.asked = self.open + 1, self.asked + 1
        self.most_open = max(self.most_open, self.open)
        try:
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
            while await reader.read(1024) or not reader.at_eof():
                writer.write(b"x")
                await asyncio.sleep(0.1)
        except ConnectionError:
            pass
        finally:
            self.open -= 1
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.overlapping += self._honest_busy
        self._honest_busy = True
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        asked = json.loads(await reader.readexactly(length))
        body = self.documents[asked["dataNftAddress"]]
        self._honest_busy = False
        writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()
        writer.close()

    async def close(self) -> None:
        for server in self._servers:
            server.close()


@pytest.fixture
async def servers() -> AsyncIterator[Servers]:
    made = Servers()
    await made.start()
    yield made
    await made.close()


@pytest.fixture
async def cache(process: LocalChain, servers: Servers) -> AsyncIterator[CacheWorld]:
    fetcher = Fetcher(AddressRules([*servers.tarpits, servers.honest]))
    decryptor = DocumentDecryptor(fetcher, CacheKey.from_text(CACHE_KEY), 8996, 4.0, 4 << 20)
    made = CacheWorld(process, documents=decryptor)
    yield made
    await made.close_world()


async def test_fifty_tarpit_publications_delay_nobody_else(cache: CacheWorld, servers: Servers) -> None:
    task = asyncio.create_task(cache.indexer.run())
    try:
        await asyncio.wait_for(cache.indexer.caught_up.wait(), 20)
        hostile = await _asset(cache)
        honest = [await _asset(cache) for _ in range(3)]
        for number in range(PUBLICATIONS):
            url = servers.tarpits[number % TARPITS]
            await asyncio.to_thread(cache.write_raw, hostile, b"%d" % number, url)
        lags = [await _lag(cache, servers, made) for made in honest]
        print("lag beside tarpits", [round(lag, 3) for lag in lags])
        assert max(lags) <= LAG_SECONDS
        assert servers.asked > 0 and servers.most_open <= TARPITS, "one request at a time goes to a host"
        assert servers.overlapping == 0
        assert cache.indexer.progress.is_ready and cache.indexer.documents.waiting_count > 0
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _asset(cache: CacheWorld) -> Any:
    return await asyncio.to_thread(create_asset, cache.chain, PUBLISHER, "NFT", "N", DispenserTerms())


async def _lag(cache: CacheWorld, servers: Servers, made: Any) -> float:
    """Seconds from a publication's receipt until its record is served."""
    text = json.dumps(make_document(made, "Honest")).encode()
    servers.documents[made.nft] = text
    await asyncio.to_thread(cache.write_raw, made, text, servers.honest)
    began = time.monotonic()
    while cache.read_record(made) is None:
        assert time.monotonic() - began < 30, cache.read_outcome(made)
        await asyncio.sleep(0.01)
    return time.monotonic() - began


async def test_a_host_that_does_not_answer_is_left_alone_for_a_while(
    process: LocalChain, servers: Servers
) -> None:
    """After three failures the other documents of that host count as tried without a connection."""
    decryptor = DocumentDecryptor(
        Fetcher(AddressRules(servers.tarpits)), CacheKey.from_text(CACHE_KEY), 8996, 0.2, 4 << 20
    )
    world = CacheWorld(process, MetadataStore(":memory:"), decryptor)
    try:
        made = await _asset(world)
        for number in range(8):
            await asyncio.to_thread(world.write_raw, made, b"%d" % number, servers.tarpits[0])
        await world.read_chain()
        assert servers.asked == 3
        assert [row[0] for row in world.store.select_rows("SELECT DISTINCT attempts FROM retries")] == [1]
    finally:
        await world.close_world()


async def test_triggers_are_bounded(cache: CacheWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many ask to read something again: four transactions at once, the rest is told to wait."""
    answered = asyncio.Event()

    async def slow(question: Any) -> Any:
        await answered.wait()
        return None

    monkeypatch.setattr(cache.indexer, "_asked", slow)
    asked = [asyncio.create_task(cache.indexer.trigger_transaction("0x" + f"{at:064x}")) for at in range(20)]
    await asyncio.sleep(0.05)
    refused = [task for task in asked if task.done() and isinstance(task.exception(), TooManyTriggers)]
    answered.set()
    await asyncio.gather(*asked, return_exceptions=True)
    assert len(refused) == 16
