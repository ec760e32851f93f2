"""One HTTP/1.1 exchange over one connection to one checked address.

Client libraries can be made to do this, none does it by construction: the connection must go to the address
that was checked (with TLS still verifying the name), nothing may follow redirects or reuse connections behind
our back, and a gigabyte has to pass without being copied through Python's buffers. The reading side is paused
while the consumer is slow, so memory stays bounded.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import deque
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import cast

import httptools

from c2d_box.storage.addresses import Origin
from c2d_box.storage.errors import SourceUnreachable, StorageError

HIGH_WATER = 1 << 20
"""Bytes that may wait for the reader before the source is held back; reading goes on below ``LOW_WATER``.
The gap between the two keeps the transport from being paused and resumed at each chunk."""
LOW_WATER = 1 << 18
MAX_HEADER_BYTES = 65536
"""Bytes of all headers of one answer, those of interim answers included."""
MAX_ADDRESSES = 4
"""Addresses of one host that are tried, since a name server may list hundreds."""
_SINGLE_HEADERS = {"content-range", "location"}
"""Headers that decide what is read and have one value (RFC 9110): of two values another reader might take the
other one. The parser itself refuses a second Content-Length; of names that decide nothing the last counts."""
NO_ANSWER = "the source did not answer in time"
"""Compared by ``sources``, which tells a silent gateway from one that is away."""


@dataclass(frozen=True)
class FetchTimeouts:
    """The seconds that parts of an exchange may take: to connect (all addresses of a host together), until
    the head of the answer, for all hops until the last head, between two pieces of the body, for the whole
    file.

    ``slow`` seconds of waiting for the source in all are forgiven; from then on it must have sent
    ``least_rate`` bytes for each of them. The time in which the reader holds the source back is not counted.
    """

    connect: float = 5.0
    head: float = 10.0
    opening: float = 20.0
    idle: float = 30.0
    whole: float = 86_400.0
    slow: float = 60.0
    least_rate: int = 1024


@dataclass(frozen=True)
class HttpRequest:
    """A request for a source. ``headers`` are complete but for Host and Content-Length."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    follow: bool = True


class HttpExchange(asyncio.Protocol):
    """The life of one connection, from the request to the end of the body. ``status`` and ``headers``
    (lower-case names) are set once :attr:`wait_for_head` is done."""

    def __init__(self, request: bytes, *, bodiless: bool) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self._request = request
        self._bodiless = bodiless
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        # Done when status and headers of the final answer are there, or when it is certain that they will not
        # come.
        self._head: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._chunks: deque[bytes] = deque()
        self._size = 0
        self._header_bytes = 0
        self._done = False
        self._paused = False
        self._error: StorageError | None = None
        # Set while the reader waits; whatever happens on the connection wakes it.
        self._wake: asyncio.Future[None] | None = None

    # -- asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the request. asyncio calls this once the connection (with TLS, where asked for) stands."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but its class
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Parse what arrived, hold the source back where the reader does not follow, and wake the reader."""
        if self._done:
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._fail_with(SourceUnreachable("the source does not speak HTTP"))
        # TCP's flow control does the rest: the source's own buffers fill up.
        if self._size > HIGH_WATER and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()
        self._notify_reader()

    def connection_lost(self, exc: Exception | None) -> None:
        """Settle how the answer ended. Only a body without length or chunks may end with the connection
        (RFC 9112)."""
        if not self._done:
            # A reset is not such an end: the file would be cut off without anybody noticing.
            if self._head.done() and self._ends_with_connection() and exc is None:
                self._done = True
            else:
                self._fail_with(SourceUnreachable("the source broke off the connection"))
        self._notify_reader()

    # -- the parser's side

    def on_message_begin(self) -> None:
        """Forget the headers of an interim answer (1xx)."""
        self.headers = {}

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep one header; trailers, which come after the head, are dropped."""
        # Over interim answers too, or an endless row of them would pass.
        self._header_bytes += len(name) + len(value)
        if self._header_bytes > MAX_HEADER_BYTES:
            self._fail_with(SourceUnreachable("the source sent too many headers"))
            return
        # A trailer that replaced a header would change an answer that is being read.
        if self._head.done():
            return
        # Latin-1 decodes any byte and is what HTTP once defined; values go on to clients unchanged.
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        earlier = self.headers.get(key)
        if key in _SINGLE_HEADERS and earlier not in (None, text):
            self._fail_with(SourceUnreachable("the source contradicts itself in a header"))
        # A list, which a repetition continues (RFC 9110, 5.3).
        elif key == "content-encoding" and earlier is not None:
            text = f"{earlier}, {text}"
        self.headers[key] = text

    def on_headers_complete(self) -> None:
        """Tell the reader that the head is there, unless it is an interim one."""
        self.status = self._parser.get_status_code()
        if self.status < 200:
            return
        if not self._head.done():
            self._head.set_result(None)
        # Answers to HEAD announce a length and send nothing (RFC 9110): waiting for it would end in a
        # timeout.
        if self._bodiless or self.status in (204, 304):
            self._done = True

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        if not self._done:
            self._chunks.append(body)
            self._size += len(body)

    def on_message_complete(self) -> None:
        """Note the end of the answer."""
        if self.status >= 200:
            self._done = True

    # -- the reader's side

    @property
    def wait_for_head(self) -> asyncio.Future[None]:
        """A future that is done when status and headers are there."""
        return self._head

    async def read_body(self, timeouts: FetchTimeouts) -> AsyncIterator[bytes]:
        """Yield the bytes of the body as they come. Raise SourceUnreachable when it ends early, stalls or
        trickles."""
        began, waited, count = time.monotonic(), 0.0, 0
        while True:
            while self._chunks:
                chunk = self._chunks.popleft()
                self._size -= len(chunk)
                count += len(chunk)
                # Before the chunk is handed over: the source fills the buffer while the reader works.
                if self._paused and self._size < LOW_WATER and self._transport is not None:
                    self._paused = False
                    self._transport.resume_reading()
                yield chunk
            # After the chunks that came before the error.
            if self._error is not None:
                raise self._error
            if self._done:
                return
            # Only time spent here, waiting, counts. A reader may be as slow as it likes.
            if waited > timeouts.slow and count < waited * timeouts.least_rate:
                raise SourceUnreachable("the source sends too slowly")
            self._wake = asyncio.get_running_loop().create_future()
            asked = time.monotonic()
            # The whole file has a deadline too, or a source could hold a connection for ever at the least
            # rate.
            left = began + timeouts.whole - asked
            try:
                async with asyncio.timeout(min(timeouts.idle, left)):
                    await self._wake
            except TimeoutError:
                late = left < timeouts.idle
                text = "the source did not deliver in time" if late else "the source stopped sending"
                raise SourceUnreachable(text) from None
            waited += time.monotonic() - asked

    def close(self) -> None:
        """End the connection and drop what was not read. It may be called at any time, and twice."""
        self._done = True
        self._chunks.clear()
        if not self._head.done():
            self._head.cancel()
        if self._transport is not None:
            self._transport.abort()

    # -- in between

    def _ends_with_connection(self) -> bool:
        """Return whether the end of the connection is the only end that the body has."""
        return "content-length" not in self.headers and "transfer-encoding" not in self.headers

    def _fail_with(self, error: StorageError) -> None:
        """End the exchange with an error. The first one counts: what follows is its consequence."""
        self._error = self._error or error
        if not self._head.done():
            self._head.set_exception(self._error)
            self._head.exception()  # read once, so that nobody complains when the reader has gone
        self._done = True
        if self._transport is not None:
            self._transport.abort()

    def _notify_reader(self) -> None:
        """Wake the reader, if it waits."""
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)


async def exchange_request(
    request: HttpRequest,
    origin: Origin,
    target: str,
    addresses: list[str],
    tls: ssl.SSLContext,
    timeouts: FetchTimeouts,
) -> HttpExchange:
    """Send the request to the first of the checked ``addresses`` that takes it, and wait for the head.

    All addresses together have the time to connect, of which each that is left to try has its share.
    """
    data = serialise_request(request, origin, target)
    loop = asyncio.get_running_loop()
    ends, problem = loop.time() + timeouts.connect, "the source cannot be reached"
    tried = addresses[:MAX_ADDRESSES]
    for at, address in enumerate(tried):
        made: HttpExchange | None = None
        try:
            # One deadline for both waits, moved between them: each costs a fiftieth of a small fetch.
            async with asyncio.timeout((ends - loop.time()) / (len(tried) - at)) as deadline:
                # The address is connected to, the name is verified by TLS: no second look-up can come in
                # between.
                _, made = await loop.create_connection(
                    lambda: HttpExchange(data, bodiless=request.method == "HEAD"),
                    address,
                    origin.port,
                    ssl=tls if origin.scheme == "https" else None,
                    server_hostname=origin.host if origin.scheme == "https" else None,
                )
                deadline.reschedule(loop.time() + timeouts.head)
                await made.wait_for_head
                return made
        # Also at cancellation, so that the connection does not stay behind.
        except BaseException as error:
            # Connected: another address would be another attempt at the same request, which may have had its
            # effect.
            if made is not None:
                made.close()
                if isinstance(error, TimeoutError):
                    raise SourceUnreachable(NO_ANSWER) from None
                raise
            if isinstance(error, ssl.SSLCertVerificationError):
                # Told apart, because publishers can repair this one.
                problem = "the source's TLS certificate is not valid for its name"
            elif isinstance(error, ssl.SSLError):
                problem = "TLS with the source failed"
            # Anything else is no matter of this address; OSErrors go on to the next one.
            elif not isinstance(error, OSError):  # which a TimeoutError is, too
                raise
    raise SourceUnreachable(problem)


def serialise_request(request: HttpRequest, origin: Origin, target: str) -> bytes:
    """Return the request as it goes over the wire. Nothing in it can start a second header: the fetcher
    has refused control characters, and the target is encoded."""
    lines = {
        "host": origin.netloc,
        "user-agent": "c2d-box",
        "accept": "*/*",
        # A file is wanted as it is stored, so nothing packed is asked for.
        "accept-encoding": "identity",
        # A publisher's headers may replace user agent and accept: the fetcher has dropped those of the
        # connection.
        **{name.lower(): value for name, value in request.headers.items()},
        "connection": "close",
    }
    # A POST without a body says its length too (RFC 9110).
    if request.body or request.method in ("POST", "PUT"):
        lines["content-length"] = str(len(request.body))
    head = f"{request.method} {target} HTTP/1.1\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return head.encode("latin-1") + b"\r\n" + request.body
