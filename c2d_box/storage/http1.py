"""One HTTP/1.1 exchange over one connection to one checked address.

Why not a client library: the connection must go to the address that was checked (with TLS still verifying
the name), nothing may follow redirects or reuse connections behind our back, and a gigabyte has to pass
without being copied through Python's buffers. The reading side is paused while the consumer is slow, so
memory stays bounded.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import cast

import httptools

from c2d_box.storage.addresses import Origin
from c2d_box.storage.errors import StorageError, Unreachable

HIGH_WATER = 1 << 20
LOW_WATER = 1 << 18
MAX_HEADER_BYTES = 65536


@dataclass(frozen=True)
class Timeouts:
    """Seconds: to connect, until the head of the answer, between two pieces of the body."""

    connect: float = 5.0
    head: float = 10.0
    idle: float = 30.0


@dataclass(frozen=True)
class HttpRequest:
    """What to ask of a source. ``headers`` are complete but for Host and Content-Length."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    follow: bool = True


class Exchange(asyncio.Protocol):
    """The life of one connection; ``status`` and ``headers`` (lower-case names) are set once ``head`` is
    done."""

    def __init__(self, request: bytes, *, bodiless: bool) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self._request = request
        self._bodiless = bodiless
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._head: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._chunks: deque[bytes] = deque()
        self._size = 0
        self._header_bytes = 0
        self._done = False
        self._paused = False
        self._error: StorageError | None = None
        self._wake: asyncio.Future[None] | None = None

    # -- asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but its class
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        if self._done:
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._fail(Unreachable("the source does not speak HTTP"))
        if self._size > HIGH_WATER and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()
        self._notify()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._done:
            if self._head.done() and self._ends_with_connection() and exc is None:
                self._done = True
            else:
                self._fail(Unreachable("the source broke off the connection"))
        self._notify()

    # -- the parser's side

    def on_message_begin(self) -> None:
        self.headers = {}

    def on_header(self, name: bytes, value: bytes) -> None:
        self._header_bytes += len(name) + len(value)
        if self._header_bytes > MAX_HEADER_BYTES:
            self._fail(Unreachable("the source sent too many headers"))
            return
        self.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()
        if self.status < 200:
            return
        if not self._head.done():
            self._head.set_result(None)
        if self._bodiless or self.status in (204, 304):
            self._done = True

    def on_body(self, body: bytes) -> None:
        if not self._done:
            self._chunks.append(body)
            self._size += len(body)

    def on_message_complete(self) -> None:
        if self.status >= 200:
            self._done = True

    # -- the reader's side

    async def head(self, seconds: float) -> None:
        """Waits until status and headers are there."""
        try:
            async with asyncio.timeout(seconds):
                await asyncio.shield(self._head)
        except TimeoutError:
            raise Unreachable("the source did not answer in time") from None

    async def body(self, idle: float) -> AsyncIterator[bytes]:
        """The bytes of the body as they come; raises Unreachable when it ends early or stalls."""
        while True:
            while self._chunks:
                chunk = self._chunks.popleft()
                self._size -= len(chunk)
                if self._paused and self._size < LOW_WATER and self._transport is not None:
                    self._paused = False
                    self._transport.resume_reading()
                yield chunk
            if self._error is not None:
                raise self._error
            if self._done:
                return
            self._wake = asyncio.get_running_loop().create_future()
            try:
                async with asyncio.timeout(idle):
                    await self._wake
            except TimeoutError:
                raise Unreachable("the source stopped sending") from None

    def close(self) -> None:
        self._done = True
        self._chunks.clear()
        if not self._head.done():
            self._head.cancel()
        if self._transport is not None:
            self._transport.abort()

    # -- in between

    def _ends_with_connection(self) -> bool:
        return "content-length" not in self.headers and "transfer-encoding" not in self.headers

    def _fail(self, error: StorageError) -> None:
        self._error = self._error or error
        if not self._head.done():
            self._head.set_exception(self._error)
            self._head.exception()  # read once, so that nobody complains when the reader has gone
        self._done = True
        if self._transport is not None:
            self._transport.abort()

    def _notify(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)


async def exchange(
    request: HttpRequest,
    origin: Origin,
    target: str,
    addresses: list[str],
    tls: ssl.SSLContext,
    timeouts: Timeouts,
) -> Exchange:
    """Sends the request to the first of the checked ``addresses`` that takes it and waits for the head."""
    data = serialise(request, origin, target)
    made: Exchange | None = None
    loop = asyncio.get_running_loop()
    for address in addresses:
        try:
            async with asyncio.timeout(timeouts.connect):
                _, made = await loop.create_connection(
                    lambda: Exchange(data, bodiless=request.method == "HEAD"),
                    address,
                    origin.port,
                    ssl=tls if origin.scheme == "https" else None,
                    server_hostname=origin.host if origin.scheme == "https" else None,
                )
            break
        except (OSError, TimeoutError, ssl.SSLError):
            continue
    if made is None:
        raise Unreachable("the source cannot be reached")
    try:
        await made.head(timeouts.head)
    except BaseException:
        made.close()
        raise
    return made


def serialise(request: HttpRequest, origin: Origin, target: str) -> bytes:
    """The request as it goes over the wire; nothing in it can start a second header."""
    lines = {
        "host": origin.netloc,
        "user-agent": "c2d-box",
        "accept": "*/*",
        "accept-encoding": "identity",
        **{name.lower(): value for name, value in request.headers.items()},
        "connection": "close",
    }
    if request.body or request.method in ("POST", "PUT"):
        lines["content-length"] = str(len(request.body))
    head = f"{request.method} {target} HTTP/1.1\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return head.encode("latin-1") + b"\r\n" + request.body
