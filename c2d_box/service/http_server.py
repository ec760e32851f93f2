"""The HTTP server of our services: uvicorn with bounded request heads, idle connections that the client
closes, no access log, and a stop within seconds of SIGTERM.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from typing import Any

import uvicorn

from c2d_box.service.bounded_protocol import BoundedProtocol
from c2d_box.service.settings import ListenSection

KEEP_ALIVE_SECONDS = 75
"""Longer than clients keep an idle connection (Node 5 s, httpx 5 s): where both sides close it at once a
request is lost, and nobody repeats a transaction."""


def serve(app: Any, listen: ListenSection) -> None:
    """Runs the ASGI ``app`` until SIGTERM or SIGINT; open answers get two seconds to end."""
    uvicorn.Server(server_config(app, listen.host, listen.port)).run()


def server_config(app: Any, host: str = "", port: int = 0, stop_seconds: int = 2) -> uvicorn.Config:
    """The settings of every server of ours. Open answers get ``stop_seconds`` to end."""
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        http=BoundedProtocol,
        # No service has a WebSocket: a library for it would only be more surface.
        ws="none",
        log_config=None,
        access_log=False,
        # Name and version of the server help nobody but an attacker.
        server_header=False,
        # X-Forwarded-For may be written by anybody; the Provider believes it from configured proxies only.
        proxy_headers=False,
        timeout_graceful_shutdown=stop_seconds,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        backlog=512,
    )


class EmbeddedServer(uvicorn.Server):
    """A server that is one task among others: it leaves signals to the process, which has more to stop."""

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until told to stop. A cancelled one is stopped as well, since what an application has begun
        would otherwise be cut off when the loop ends, and be logged as an error."""
        try:
            await super().serve(sockets)
        except asyncio.CancelledError:
            if self.started:
                await self.shutdown(sockets)
            raise

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
