"""The contract of c2d_box.service, held by each of the six services: how it refuses settings and bodies, what
its log lines hold, how long it waits for a head and how long it keeps an idle connection.
"""

from __future__ import annotations

import asyncio
import importlib
import io
import json
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from c2d_box.service.bounded_protocol import BoundedProtocol
from c2d_box.service.http_server import EmbeddedServer, server_config
from c2d_box.service.json_logging import JsonLineFormatter
from tests.unit.hostile.corpus import TEXTS
from tests.unit.service.services import SERVICES, ServiceCase, running

each_service = pytest.mark.parametrize("case", SERVICES, ids=lambda case: case.name)
SECRET = "secretAccessKey=s3cr3t"
CLIENT_IDLE_SECONDS = 5.0
"""httpx, with which our services call each other, and Node keep an idle connection as long."""


@pytest.fixture
async def app(case: ServiceCase, tmp_path: Path) -> AsyncIterator[Starlette]:
    async with case.application(tmp_path) as made:
        yield made


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """What the process would have logged. Other tests silence uvicorn's loggers; a service does not."""
    handler = logging.StreamHandler(io.StringIO())
    handler.setFormatter(JsonLineFormatter())
    loggers = [logging.getLogger(name) for name in (None, "uvicorn", "uvicorn.error")]
    before = [(logger, logger.level, logger.propagate) for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.INFO)
        logger.propagate = True
    loggers[0].addHandler(handler)
    yield handler.stream
    loggers[0].removeHandler(handler)
    for logger, level, propagates in before:
        logger.setLevel(level)
        logger.propagate = propagates


def test_a_cancelled_server_ends_without_an_error(lines: io.StringIO) -> None:
    """What lives as long as the application is ended by it, not cut off with the loop."""

    async def serve_and_cancel() -> None:
        server = EmbeddedServer(server_config(Starlette(), "127.0.0.1", 0, stop_seconds=1))
        task = asyncio.create_task(server.serve())
        while not server.started:  # noqa: ASYNC110 - uvicorn tells it in no other way
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(serve_and_cancel())
    assert "Application startup complete." in lines.getvalue()
    assert "CancelledError" not in lines.getvalue()


async def answers(
    app: Starlette, case: ServiceCase, *contents: Any, known: bool = True
) -> AsyncIterator[httpx.Response]:
    """The answers to bodies. ``known``: with the token that the engine wants before it reads; no other
    service wants anything."""
    headers = dict(case.headers)
    if known and hasattr(app.state, "token"):
        headers["authorization"] = f"Bearer {app.state.token}"
    async with running(app) as (host, port), httpx.AsyncClient(trust_env=False, timeout=30) as client:
        for content in contents:
            yield await client.post(f"http://{host}:{port}{case.path}", content=content, headers=headers)


# -- bodies


@each_service
async def test_deeply_nested_json_is_400(app: Starlette, case: ServiceCase) -> None:
    texts = [TEXTS[name] for name in ("brackets", "braces", "closed brackets", "hundred deep")]
    async for answer in answers(app, case, *texts):
        assert answer.status_code == case.deep
        if case.deep == 400:
            assert "nested deeper" in answer.text
        if case.deep == 200:
            assert answer.json()["error"]["code"] == -32700


@each_service
async def test_json_of_a_stranger_is_never_500(app: Starlette, case: ServiceCase) -> None:
    async for answer in answers(app, case, TEXTS["brackets"], known=False):
        assert answer.status_code == (401 if hasattr(app.state, "token") else case.deep)


@each_service
async def test_malformed_json_is_400(app: Starlette, case: ServiceCase) -> None:
    async for answer in answers(app, case, b"{", b"\xff\xfe", b"not JSON"):
        assert answer.status_code == case.malformed
        if case.malformed == 200:
            assert answer.json()["error"]["code"] == -32700


@each_service
async def test_a_body_is_bounded_whether_its_length_is_said_or_not(app: Starlette, case: ServiceCase) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(0, case.body_bytes + 1, 1 << 20):
            yield b" " * (1 << 20)

    async for answer in answers(app, case, b" " * (case.body_bytes + 1), pieces()):
        assert answer.status_code == case.too_large


# -- log lines


@each_service
async def test_an_unforeseen_exception_leaves_its_type_and_not_its_text(
    app: Starlette, case: ServiceCase, lines: io.StringIO
) -> None:
    async def fail(_: Request) -> Response:
        raise RuntimeError(SECRET)

    app.router.routes.insert(0, Route(case.path, fail, methods=["POST"]))
    async for answer in answers(app, case, b"{}"):
        assert answer.status_code >= 500 and SECRET not in answer.text
    told = [json.loads(line) for line in lines.getvalue().splitlines()]
    assert SECRET not in lines.getvalue()
    assert [line["level"] for line in told if line.get("exception") == "RuntimeError"] == ["error"]
    assert all({"time", "level", "logger", "message"} <= line.keys() for line in told)


# -- the server


@each_service
async def test_a_head_that_does_not_come_is_not_waited_for(
    app: Starlette, case: ServiceCase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BoundedProtocol, "head_seconds", 0.2)
    async with running(app) as address:
        for start in (b"", b"GET /livez HTTP/1.1\r\nHost: a\r\nX: "):
            reader, writer = await asyncio.open_connection(*address)
            writer.write(start)
            assert await asyncio.wait_for(reader.read(), 10) == b""
            writer.close()


@each_service
async def test_a_head_without_end_is_cut_off(app: Starlette, case: ServiceCase) -> None:
    async with running(app) as address:
        reader, writer = await asyncio.open_connection(*address)
        writer.write(b"GET /livez HTTP/1.1\r\n" + b"X: y\r\n" * (BoundedProtocol.head_bytes // 5))
        assert (await asyncio.wait_for(reader.readline(), 10)).startswith(b"HTTP/1.1 400 ")
        writer.close()


async def test_an_idle_connection_outlives_the_clients(tmp_path: Path) -> None:
    """All services at once, because each waits. Where both sides end it in one moment a request is lost."""
    async with AsyncExitStack() as stack:
        connections = {}
        for case in SERVICES:
            folder = tmp_path / case.module
            folder.mkdir()
            address = await stack.enter_async_context(
                running(await stack.enter_async_context(case.application(folder)))
            )
            connections[case.name] = await asyncio.open_connection(*address)
            assert await ask_livez(*connections[case.name]) == b"HTTP/1.1 200 OK\r\n", case.name
        await asyncio.sleep(CLIENT_IDLE_SECONDS + 1)
        for name, (reader, writer) in connections.items():
            assert await ask_livez(reader, writer) == b"HTTP/1.1 200 OK\r\n", name
            writer.close()


async def ask_livez(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """The status line of the answer; what follows it is read away."""
    writer.write(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
    length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    await reader.readexactly(int(length.partition(b":")[2]))
    return head[: head.index(b"\n") + 1]


# -- main


@pytest.fixture
def usual_logging() -> Iterator[None]:
    """A service's main takes the root logger's handlers away; they are put back."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@each_service
@pytest.mark.parametrize(
    ("text", "code", "word"),
    [
        ('{"listen": {"port": "s3cr3t"}}', "C2D-CONFIG-INVALID", "listen.port"),
        ('{"listen": [}', "C2D-CONFIG-INVALID", "JSON"),
        ("[" * 100_000, "C2D-CONFIG-INVALID", "nested deeper"),
        ("[1]", "C2D-CONFIG-INVALID", "config.json"),
        (None, "C2D-CONFIG-UNREADABLE", "No such file"),
    ],
    ids=["wrong key", "no JSON", "deep", "a list", "no file"],
)
def test_settings_that_cannot_be_used_are_told_the_same_way(
    case: ServiceCase,
    text: str | None,
    code: str,
    word: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    usual_logging: None,
) -> None:
    config = tmp_path / "config.json"
    if text is not None:
        config.write_text(text)
    main = importlib.import_module(f"{case.module}.__main__").main
    assert main(["--config", str(config)]) == 2
    told = capsys.readouterr()
    failure = json.loads(told.err)
    assert failure["code"] == code and word in failure["message"] and failure["next_step"]
    assert "s3cr3t" not in told.err + told.out
