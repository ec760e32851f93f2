"""uvicorn's protocol with a limit on the request head: 20 seconds and 128 KiB. uvicorn itself waits for a
head for ever and keeps whatever comes of it in memory.

The application limits the size of bodies, because only it knows what a route accepts.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class BoundedProtocol(HttpToolsProtocol):
    """Ends a connection whose head (request line and headers) is late or too long."""

    head_seconds = 20.0
    head_bytes = 128 << 10

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._timer: asyncio.TimerHandle | None = None
        self._received = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        # From the connection on, not from the first byte: a peer that sends nothing holds a connection as
        # well.
        self._start_head()

    def data_received(self, data: bytes) -> None:
        self._received += len(data)
        # Parsed first: where the head ends in this very chunk, ``on_headers_complete`` has cleared the
        # timer.
        super().data_received(data)
        if self._timer is not None and self._received > self.head_bytes and not self.transport.is_closing():
            self.send_400_response("The request's head is too long.")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        # None on a kept-alive connection: each further request gets a time limit of its own.
        if self._timer is None:
            self._start_head()

    def on_headers_complete(self) -> None:
        # From here on the application bounds the body.
        self._end_head()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end_head()
        super().connection_lost(exc)

    def _start_head(self) -> None:
        """Begin to count bytes and seconds of a head. At the end of the time the connection is closed like
        an idle one, without an answer: there is no request to answer yet."""
        self._received = 0
        self._timer = self.loop.call_later(self.head_seconds, self.timeout_keep_alive_handler)

    def _end_head(self) -> None:
        """End the limits; called more than once for a connection that closes in the middle of a head."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
