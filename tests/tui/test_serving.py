"""The screens in a browser, and everybody who should not reach them: by raw requests and WebSockets."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from sandbox.box import Box
from sandbox.home import BoxHome
from sandbox.settings import BoxSettings
from tui.web.guard import SESSION_SECONDS, AccessGuard
from tui.web.serving import LARGEST, PAGES, USUAL, GuardedServer, _free_port, _window_size, served_command

PATIENCE = 150
REFUSED, UNKNOWN, OPENED = 403, 401, 303


@asynccontextmanager
async def serving(
    home: Path, write: bool = False, clock: Callable[[], float] = time.monotonic
) -> AsyncIterator[AccessGuard]:
    """The server as ``c2d-box serve`` makes it, on a free port."""
    port = _free_port()
    guard = AccessGuard(port, clock)
    box = Box(BoxHome(home), BoxSettings(name="test"))
    server = GuardedServer(served_command(box, None, write), port, guard, "test")
    runner = web.AppRunner(await server._make_app())
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield guard
    finally:
        await runner.cleanup()


@asynccontextmanager
async def visiting() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        yield session


def _at(guard: AccessGuard, path: str = "/") -> str:
    return f"http://{guard.allowed_hosts[0]}{path}"


async def _status(session: aiohttp.ClientSession, url: str, **headers: str) -> int:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with session.get(url, headers=named, allow_redirects=False) as answer:
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert answer.headers["X-Frame-Options"] == "DENY"
        return answer.status


async def test_the_token_opens_one_browser_once(tmp_path: Path) -> None:
    async with serving(tmp_path) as guard, visiting() as session, visiting() as other:
        assert await _status(session, _at(guard)) == UNKNOWN
        assert await _status(session, _at(guard, "/?token=wrong")) == UNKNOWN
        assert await _status(session, guard.page_url) == OPENED
        assert await _status(session, _at(guard)) == 200
        assert await _status(other, guard.page_url) == UNKNOWN
        assert await _status(other, _at(guard, "/static/js/textual.js")) == UNKNOWN
        assert guard.token not in (await (await session.get(_at(guard))).text())


@pytest.mark.parametrize(
    "header",
    [
        {"Host": "evil.example"},
        {"Host": "127.0.0.1"},
        {"Host": "127.0.0.1.evil.example:80"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
    ],
)
async def test_a_page_of_another_origin_gets_nothing_even_with_the_cookie(
    tmp_path: Path, header: dict[str, str]
) -> None:
    async with serving(tmp_path) as guard, visiting() as session:
        assert await _status(session, guard.page_url) == OPENED
        assert await _status(session, _at(guard), **header) == REFUSED


async def test_a_foreign_page_cannot_use_up_the_token(tmp_path: Path) -> None:
    async with serving(tmp_path) as guard, visiting() as session:
        assert await _status(session, guard.page_url, Origin="https://evil.example") == REFUSED
        assert await _status(session, guard.page_url, Sec_Fetch_Site="cross-site") == REFUSED
        assert await _status(session, guard.page_url) == OPENED


@pytest.mark.parametrize("origin", [None, "https://evil.example", "null", "http://127.0.0.1:9"])
async def test_a_websocket_of_another_origin_is_refused(tmp_path: Path, origin: str | None) -> None:
    async with serving(tmp_path) as guard, visiting() as session:
        assert await _status(session, guard.page_url) == OPENED
        headers = {} if origin is None else {"Origin": origin}
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await session.ws_connect(_at(guard, "/ws"), headers=headers)
        assert refused.value.status == REFUSED


async def test_a_websocket_without_the_session_is_refused(tmp_path: Path) -> None:
    async with serving(tmp_path) as guard, visiting() as session:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await session.ws_connect(_at(guard, "/ws"), headers={"Origin": _at(guard, "")})
        assert refused.value.status == UNKNOWN


async def test_nothing_is_written_by_other_methods(tmp_path: Path) -> None:
    async with serving(tmp_path) as guard, visiting() as session:
        await _status(session, guard.page_url)
        for method in ("POST", "PUT", "DELETE", "OPTIONS"):
            async with session.request(method, _at(guard)) as answer:
                assert answer.status == REFUSED


async def test_its_own_page_shows_the_screens_and_they_are_read_only(tmp_path: Path) -> None:
    async with serving(tmp_path) as guard, visiting() as session:
        assert await _status(session, guard.page_url) == OPENED
        address = _at(guard, "/ws?width=100&height=30")
        async with session.ws_connect(address, headers={"Origin": _at(guard, "")}) as page:
            seen = await _painted(page, b"read-only")
            assert b"c2d-box" in seen and b"Dash" in seen
            await page.send_json(["stdin", "u"])
            assert b"nothing is changed from here" in await _painted(page, b"nothing is changed from here")


async def test_a_request_that_is_no_websocket_takes_no_page(tmp_path: Path) -> None:
    async with serving(tmp_path) as guard, visiting() as session:
        await _status(session, guard.page_url)
        for _ in range(PAGES + 1):
            async with session.get(_at(guard, "/ws"), headers={"Origin": _at(guard, "")}) as answer:
                assert answer.status == 400


@pytest.mark.parametrize(
    ("text", "cells"),
    [
        ("100", 100),
        ("0", USUAL["width"]),
        ("-1", USUAL["width"]),
        ("wide", USUAL["width"]),
        ("1000000", LARGEST),
        ("9" * 5000, LARGEST),
    ],
)
def test_a_page_has_a_sensible_size_whatever_it_asks_for(text: str, cells: int) -> None:
    assert _window_size(make_mocked_request("GET", f"/ws?width={text}"), "width") == cells


async def test_the_server_ends_the_session_and_its_open_pages(tmp_path: Path) -> None:
    now = 0.0
    async with serving(tmp_path, clock=lambda: now) as guard, visiting() as session:
        cookie = {"Cookie": ""}
        async with session.get(guard.page_url, allow_redirects=False) as answer:
            cookie["Cookie"] = f"{guard.cookie}={answer.cookies[guard.cookie].value}"
        now = SESSION_SECONDS - 0.5
        assert await _status(session, _at(guard), **cookie) == 200
        headers = {"Origin": _at(guard, ""), **cookie}
        async with asyncio.timeout(PATIENCE), session.ws_connect(_at(guard, "/ws"), headers=headers) as page:
            async for _ in page:
                pass
            assert page.closed
        now = SESSION_SECONDS + 0.5
        # The browser's own limit is left out: a copied cookie knows none.
        assert await _status(session, _at(guard), **cookie) == UNKNOWN


async def _painted(page: aiohttp.ClientWebSocketResponse, words: bytes) -> bytes:
    """Bytes of the terminal until ``words`` stand in them."""
    seen = b""
    async with asyncio.timeout(PATIENCE):
        async for message in page:
            seen += message.data if isinstance(message.data, bytes) else str(message.data).encode()
            if words in seen:
                return seen
    raise AssertionError(f"closed without {words!r}: {seen[-500:]!r}")


def test_only_write_makes_it_write(tmp_path: Path) -> None:
    box = Box(BoxHome(tmp_path), BoxSettings(name="test"))
    assert "--write" not in served_command(box, None, False)
    assert "--write" in served_command(box, None, True)
