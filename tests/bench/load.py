"""Clients that ask as fast as they are answered: one connection each, kept open, the next request only after
the answer to the last.

In a process of its own, so that it takes nothing from the process that stands in for the upstreams.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from urllib.parse import urlsplit

import httptools
import uvloop

Script = Iterator[bytes]
"""One client's requests as HTTP bytes, an endless iterator."""


@dataclass(frozen=True)
class LoadFigures:
    """Figures of one run: answers per second, latency in milliseconds, and how many answers
    were no success.
    """

    per_second: float
    p50_ms: float
    p99_ms: float
    failed: int


def run_load(url: str, scripts: Callable[[int], list[Script]], clients: int, seconds: float) -> LoadFigures:
    """Run ``clients`` clients for ``seconds`` in a new process. ``scripts`` is called there with the number
    of clients, so it must be picklable.
    """
    with other_process() as pool:
        return load_from(pool, url, scripts, clients, seconds)


def other_process() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))


def load_from(
    pool: ProcessPoolExecutor,
    url: str,
    scripts: Callable[[int], list[Script]],
    clients: int,
    seconds: float,
) -> LoadFigures:
    """Run the load in an existing process, which saves the start of a new one."""
    return pool.submit(_drive_clients, url, scripts, clients, seconds).result()


def request_bytes(url: str, method: str, target: str, body: bytes = b"", content_type: str = "") -> bytes:
    """Return an HTTP/1.1 request as a client with kept-open connections sends it."""
    lines = [f"{method} {target} HTTP/1.1", f"host: {urlsplit(url).netloc}"]
    if content_type:
        lines.append(f"content-type: {content_type}")
    if body:
        lines.append(f"content-length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


def _drive_clients(
    url: str, scripts: Callable[[int], list[Script]], clients: int, seconds: float
) -> LoadFigures:
    return uvloop.run(_run_scripts(url, scripts(clients), seconds))


async def _run_scripts(url: str, scripts: list[Script], seconds: float) -> LoadFigures:
    asking = [_LoadClient(script) for script in scripts]
    for client in asking:
        await client.connect_to(url)
    for client in asking:
        client.ask_next()
    await asyncio.sleep(seconds / 4)
    for client in asking:
        client.took.clear()
        client.failed = 0
    began = time.perf_counter()
    await asyncio.sleep(seconds)
    lasted = time.perf_counter() - began
    took = sorted(value for client in asking for value in client.took)
    lost = sum(1 for client in asking if client.lost)
    for client in asking:
        client.close_connection()
    if not took:
        return LoadFigures(0.0, 0.0, 0.0, lost)
    p50, p99 = took[len(took) // 2], took[int(len(took) * 0.99)]
    failed = sum(client.failed for client in asking) + lost
    return LoadFigures(round(len(took) / lasted, 1), round(p50 * 1000, 2), round(p99 * 1000, 2), failed)


class _LoadClient(asyncio.Protocol):
    """One connection: it sends the next request as soon as the answer to the last is complete."""

    def __init__(self, script: Script) -> None:
        self.took: list[float] = []
        self.failed = 0
        self.lost = False
        self._script = script
        self._closing = False
        self._parser = httptools.HttpResponseParser(self)

    async def connect_to(self, url: str) -> None:
        loop, parts = asyncio.get_running_loop(), urlsplit(url)
        assert parts.hostname is not None and parts.port is not None
        self._transport, _ = await loop.create_connection(lambda: self, parts.hostname, parts.port)

    def ask_next(self) -> None:
        self._began = time.perf_counter()
        self._transport.write(next(self._script))

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        self.took.append(time.perf_counter() - self._began)
        if not 200 <= self._parser.get_status_code() < 300:
            self.failed += 1
        # httptools' response parser serves a whole connection, so the next answer goes through it too.
        if not self._closing:
            self.ask_next()

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = not self._closing

    def close_connection(self) -> None:
        self._closing = True
        self._transport.close()
