"""A request's head arrives in time and in size, or its connection ends."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
import uvicorn

from c2d_box.service.bounded_protocol import BoundedProtocol

ANSWER = b"HTTP/1.1 200 OK"


class Quick(BoundedProtocol):
    head_seconds = 0.4
    head_bytes = 4096


async def application(scope: Any, receive: Any, send: Any) -> None:
    more = True
    while more:
        message = await receive()
        more = message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    config = uvicorn.Config(
        application, "127.0.0.1", 0, http=Quick, ws="none", lifespan="off", log_level="critical"
    )
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn tells it in no other way
        await asyncio.sleep(0.01)
    reader, writer = await asyncio.open_connection(*server.servers[0].sockets[0].getsockname()[:2])
    try:
        yield reader, writer
    finally:
        writer.close()
        server.should_exit = True
        await serving


@pytest.mark.parametrize("start", [b"", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nX: "])
async def test_a_head_that_does_not_come_is_not_waited_for(start: bytes) -> None:
    async with connected() as (reader, writer):
        writer.write(start)
        assert await asyncio.wait_for(reader.read(), 10) == b""


async def test_a_head_that_trickles_is_not_waited_for() -> None:
    async with connected() as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\nX: ")
        ended = asyncio.ensure_future(reader.read())
        began = time.monotonic()
        while not ended.done() and time.monotonic() - began < 10:
            writer.write(b"y")
            await asyncio.sleep(0.05)
        with suppress(ConnectionResetError):  # a byte that was on its way when the connection ended
            assert await asyncio.wait_for(ended, 1) == b""


async def test_a_head_without_end_is_cut_off() -> None:
    async with connected() as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 2000)
        assert (await asyncio.wait_for(reader.read(), 10)).startswith(b"HTTP/1.1 400 ")


async def test_bodies_and_further_requests_have_their_time() -> None:
    async with connected() as (reader, writer):
        for _ in range(3):
            writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10000\r\n\r\n")
            for _ in range(5):
                writer.write(b"z" * 2000)
                await asyncio.sleep(0.12)
            assert (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)).startswith(ANSWER)
