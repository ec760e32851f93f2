"""The served screens in a real browser, and foreign pages in the same browser that try to reach them.

The browser is the Chromium of the machine, driven through its own protocol; without one the tests are skipped
and say so. It has the session's cookie: what a foreign page is refused here it is refused as the user.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from sandbox.box import Box
from sandbox.home import BoxHome
from sandbox.settings import BoxSettings
from tui.web.guard import AccessGuard
from tui.web.serving import GuardedServer, _free_port, served_command

playwright = pytest.importorskip("playwright.async_api", reason="the driver of browsers is not installed")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine (apt install chromium)")
PATIENCE = 150
OPEN, REFUSED, UNKNOWN = 200, 403, 401
ATTEMPTS = 7
DRAWN = """() => {
    const layer = document.querySelector("canvas.xterm-text-layer");
    const dots = layer && layer.getContext("2d").getImageData(0, 0, layer.width, layer.height).data;
    return dots && new Set(new Uint32Array(dots.buffer)).size > 20;
}"""
"""The terminal has letters on it, in colours."""
ATTACKS = """async (target) => {
    const tried = {};
    tried.fetched = await fetch(target, {credentials: "include"}).then(() => "read", () => "refused");
    tried.blind = await fetch(target, {credentials: "include", mode: "no-cors"})
        .then((answer) => "opaque " + answer.type, () => "refused");
    tried.token = await fetch(target + "?token=guess", {credentials: "include", mode: "no-cors"})
        .then((answer) => "opaque " + answer.type, () => "refused");
    tried.posted = await fetch(target, {method: "POST", credentials: "include", mode: "no-cors", body: "u"})
        .then((answer) => "opaque " + answer.type, () => "refused");
    tried.socket = await new Promise((told) => {
        const socket = new WebSocket(target.replace("http", "ws") + "ws?width=80&height=24");
        socket.onopen = () => { socket.send('["stdin", "u"]'); told("open"); };
        socket.onerror = () => told("refused");
    });
    tried.framed = await new Promise((told) => {
        const frame = document.createElement("iframe");
        frame.src = target;
        frame.onload = () => {
            try { told(frame.contentDocument ? "own" : "foreign"); } catch (error) { told("foreign"); }
        };
        document.body.append(frame);
    });
    tried.script = await new Promise((told) => {
        const script = document.createElement("script");
        script.src = target + "static/js/textual.js";
        script.onload = () => told("loaded");
        script.onerror = () => told("refused");
        document.body.append(script);
    });
    return tried;
}"""


@asynccontextmanager
async def served(home: Path, write: bool = False) -> AsyncIterator[tuple[AccessGuard, list[tuple[str, int]]]]:
    """The server as ``c2d-box serve`` makes it; and what it answered: path, status."""
    port = _free_port()
    guard = AccessGuard(port)
    answered: list[tuple[str, int]] = []
    box = Box(BoxHome(home), BoxSettings(name="test"))
    server = GuardedServer(served_command(box, None, write), port, guard, "test")
    app = await server._make_app()

    @web.middleware
    async def noted(request: web.Request, handler: Any) -> web.StreamResponse:
        answer: web.StreamResponse = await handler(request)
        answered.append((request.path, answer.status))
        return answer

    app.middlewares.insert(0, noted)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield guard, answered
    finally:
        await runner.cleanup()


@asynccontextmanager
async def foreign() -> AsyncIterator[int]:
    """A page of somebody else's, on a port of this machine."""

    async def page(_request: web.Request) -> web.Response:
        return web.Response(text="<!doctype html><title>prizes</title>", content_type="text/html")

    app = web.Application()
    app.router.add_get("/", page)
    runner, port = web.AppRunner(app), _free_port()
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield port
    finally:
        await runner.cleanup()


@asynccontextmanager
async def browsing(scratch: Path) -> AsyncIterator[Any]:
    """A browser with a profile of its own."""
    async with playwright.async_playwright() as driver:
        browser = await driver.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-dev-shm-usage"],
            env={"HOME": str(scratch)},
        )
        try:
            context = await browser.new_context(viewport={"width": 1200, "height": 800})
            context.set_default_timeout(PATIENCE * 1000)
            yield context
        finally:
            await browser.close()


def _at(guard: AccessGuard) -> str:
    return f"http://{guard.allowed_hosts[0]}/"


class Seen:
    """What the page's WebSocket brought: the bytes of the terminal."""

    def __init__(self, page: Any) -> None:
        self.text = ""
        self._news = asyncio.Event()
        page.on("websocket", lambda socket: socket.on("framereceived", self._came))

    def _came(self, payload: bytes | str) -> None:
        self.text += payload if isinstance(payload, str) else payload.decode(errors="replace")
        self._news.set()

    async def until(self, words: str) -> None:
        async with asyncio.timeout(PATIENCE):
            while words not in self.text:
                self._news.clear()
                await self._news.wait()


async def test_the_dashboard_is_drawn_and_keys_reach_it_read_only(tmp_path: Path) -> None:
    async with served(tmp_path) as (guard, _), browsing(tmp_path) as context:
        page = await context.new_page()
        seen, complaints = Seen(page), []
        page.on("pageerror", lambda error: complaints.append(str(error)))
        await page.goto(guard.page_url)
        for words in ("read-only", "Health", "Last jobs"):
            await seen.until(words)
        assert guard.token not in page.url
        await page.wait_for_function(DRAWN)
        await page.click(".xterm-screen")
        await page.keyboard.press("u")
        await seen.until("nothing is changed from here")
        assert not complaints
        again = await context.new_page()
        used = await again.goto(guard.page_url)
        assert used.status == UNKNOWN
        assert (await again.goto(_at(guard))).status == OPEN


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
async def test_a_foreign_page_in_the_same_browser_is_refused_everything(tmp_path: Path, name: str) -> None:
    """The first is the same site to a browser, which sends the cookie along; the second is another."""
    async with (
        served(tmp_path, write=True) as (guard, answered),
        foreign() as port,
        browsing(tmp_path) as context,
    ):
        own = await context.new_page()
        seen = Seen(own)
        await own.goto(guard.page_url)
        await seen.until("Health")
        answered.clear()
        page = await context.new_page()
        await page.goto(f"http://{name}:{port}/")
        tried = await page.evaluate(ATTACKS, _at(guard))
        assert tried["fetched"] == tried["socket"] == tried["script"] == "refused"
        assert tried["framed"] == "foreign"
        assert "textual-terminal" not in "".join([await frame.content() for frame in page.frames])
        assert len(answered) >= ATTEMPTS
        assert {status for _, status in answered} == {REFUSED}
        await own.reload()
        await own.wait_for_function(DRAWN)
