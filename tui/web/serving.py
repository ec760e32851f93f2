"""Serves the screens in a browser: textual-serve behind the guard, with a process of the TUI
per open page.
"""

from __future__ import annotations

import asyncio
import shlex
import socket
import sys
from contextlib import suppress

from aiohttp import web
from textual_serve.app_service import AppService
from textual_serve.server import Server

from c2d_box.errors import EnvironmentProblem
from sandbox.box import Box
from tui.web.guard import AccessGuard

# Never another interface: the transport is not encrypted.
HOST = "127.0.0.1"
# The size comes from the page's query: a terminal of a million columns would exhaust the memory.
USUAL, LARGEST = {"width": 80, "height": 24}, 1000
GRACE = 5.0
PAGES = 4
"""Most pages open at once: each is a process."""


class PageProcess(AppService):
    """The process of one page. The library alone would leave it running if the page is closed
    during a write.
    """

    async def stop(self) -> None:
        """Ask the process to end; kill it after ``GRACE`` seconds."""
        # The library's own ``stop`` asks the process to quit, then waits for it without a limit.
        with suppress(Exception):
            await asyncio.wait_for(super().stop(), GRACE)
        process = self._process
        if process is None:
            return
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
        # Reaps the process and drains its pipes, so that no zombie stays.
        await process.communicate()


def _window_size(request: web.Request, name: str) -> int:
    """Return the page's width or height in cells; the usual one where the query says nothing sensible."""
    text = request.query.get(name, "")
    # Five digits suffice, and ``int`` refuses thousands of them.
    return min(int(text[:5]) if text.isdecimal() else 0, LARGEST) or USUAL[name]


class GuardedServer(Server):
    """The server; every request passes the guard first."""

    def __init__(self, command: str, port: int, guard: AccessGuard, title: str) -> None:
        super().__init__(command, host=HOST, port=port, title=title, public_url=f"http://{HOST}:{port}")
        self.guard = guard
        self._open = 0

    def initialize_logging(self) -> None:
        """Set up no logging: the command prints what is worth printing."""

    async def on_startup(self, app: web.Application) -> None:
        """Print no banner: it would show the command."""

    async def _make_app(self) -> web.Application:
        app = await super()._make_app()
        # The middleware stands before every route of the library: pages, static files and the WebSocket.
        app.middlewares.append(self.guard.__call__)
        app.on_response_prepare.append(self.guard.on_prepare)
        return app

    async def handle_websocket(self, request: web.Request) -> web.WebSocketResponse:
        """Serve one page: its process begins with the connection and ends with it, even during a write.

        The end of the session ends the connection.
        """
        if self._open >= PAGES:
            # Before the upgrade, as a WebSocket has no status any more.
            raise web.HTTPTooManyRequests(text="too many pages are open; close one")
        # The heartbeat notices a connection that ended without a word; otherwise its process would stay.
        channel = web.WebSocketResponse(heartbeat=15)

        async def close() -> None:
            await channel.close()

        page = PageProcess(
            self.command,
            write_bytes=channel.send_bytes,
            write_str=channel.send_str,
            close=close,
            download_manager=self.download_manager,
        )
        self._open += 1
        try:
            # Fails for a request that is no WebSocket.
            await channel.prepare(request)
            with suppress(TimeoutError):
                async with asyncio.timeout(self.guard.seconds_left):
                    await page.start(*(_window_size(request, name) for name in ("width", "height")))
                    await self._process_messages(channel, page)
        finally:
            self._open -= 1
            await page.stop()
        return channel


def served_command(box: Box, who: str | None, write: bool) -> str:
    """Return the shell command of a page's process; read-only is its default, so only ``write``
    is passed on.
    """
    words = [sys.executable, "-m", "tui.web", "--home", str(box.home.path), "--name", box.name]
    words += ["--as", who] if who else []
    words += ["--write"] if write else []
    # ``exec`` replaces the shell: a signal for the process would otherwise reach only the shell.
    return f"exec {shlex.join(words)}"


def main(box: Box, who: str | None, *, port: int, write: bool) -> None:
    """Serve until Ctrl-C. Prints the address with its token once.

    ``port`` 0 means any free one. The address goes to stdout, so that a script can open it; the explanation
    goes to stderr.
    """
    # The port must be known before the server starts, as Host and Origin are compared with it.
    chosen = port or _free_port()
    _demand_free(chosen)
    guard = AccessGuard(chosen)
    how = "may change things" if write else "read-only"
    print(f"the screens of {box.name}, {how}: {guard.page_url}", flush=True)
    print("the token opens one browser, once; Ctrl-C ends it, the box goes on", file=sys.stderr, flush=True)
    GuardedServer(served_command(box, who, write), chosen, guard, f"c2d-box {box.name}").serve()


def _free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _demand_free(port: int) -> None:
    """Raise ``C2D-PORT-TAKEN`` now: the library would report it as a traceback, after the address was
    printed.
    """
    try:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((HOST, port))
    except OSError as cause:
        raise EnvironmentProblem(
            "C2D-PORT-TAKEN", f"port {port} is taken", "choose another with --port, or 0 for any"
        ) from cause
