"""What slow strangers cost everybody else: ``python -m tests.bench.bench_strangers [--seconds 0.8]``.

The p99 of three questions to the Provider (the median of short slices), while nothing else happens (before
and after) and while a stranger has 16 slow names in flight there and 50 publications in the chain whose
decryptors are tarpits; and how late the metadata cache then shows an honest publication. The aims: p99 at
most twice the quiet one, a lag of at most 2 s. Chain, cache and Provider are real processes, in a network
namespace of their own with a name server that is silent on the slow names (so it needs ``unshare`` and user
namespaces).
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import hashlib
import json
import os
import statistics
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from c2d_box.chain.publishing import set_metadata
from tests.bench.bench_provider import Scripts, repeat_script
from tests.bench.load import load_from, other_process, request_bytes
from tests.harness.fake_services import BackgroundServer
from tests.harness.local_stack import LocalStack, world_in
from tests.harness.silent_name_server import PUBLIC, SLOW_IN_FLIGHT, NameServer, isolate_network, source_app

PUBLICATIONS, TARPITS = 50, 25
CLIENTS, SLICES = 4, 3
WANTED_RATIO, WANTED_LAG = 2.0, 2.0


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=0.8, help="of each of a question's slices")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not options.inside:
        again = [sys.executable, "-m", "tests.bench.bench_strangers", "--inside", *sys.argv[1:]]
        os.execvp("unshare", ["unshare", "-Urnm", *again])
    with tempfile.TemporaryDirectory(prefix="c2d-bench-strangers-") as folder:
        isolate_network(Path(folder))
        NameServer().start()
        with _at_the_public_address() as files, world_in(Path(folder)) as world:
            print(json.dumps(measure_strangers(world, files, options.seconds), indent=2))


def measure_strangers(world: LocalStack, files: str, seconds: float) -> dict[str, Any]:
    asked = stranger_questions(world.provider_url, files)
    honest, hostile = world.publish(price=0), world.publish(price=0)
    pool = other_process()
    figures = functools.partial(_measure_slices, pool, world.provider_url, asked)
    before = figures(seconds)
    with TarpitServer() as tarpits, slow_names(world.provider_url) as ended:
        _publish_tarpits(world, hostile.nft, tarpits.port)
        beside = figures(seconds)
        lags = [world.updated(honest) for _ in range(3)]
        held = {"tarpits_asked": tarpits.asked, "slow_names_ended": len(ended)}
    after = figures(seconds)
    pool.shutdown()
    found = {name: _compare_runs(before[name] + after[name], beside[name]) for name in asked}
    reached = max(lags) <= WANTED_LAG and all(each["ratio"] <= WANTED_RATIO for each in found.values())
    return {"p99_ms": found, "lag_seconds": [round(lag, 2) for lag in lags], **held, "reached": reached}


def stranger_questions(provider: str, files: str) -> dict[str, Scripts]:
    file = json.dumps({"type": "url", "url": f"{files}/data.csv", "method": "GET"}).encode()
    asked = {
        "root": request_bytes(provider, "GET", "/"),
        "computeEnvironments": request_bytes(provider, "GET", "/api/services/computeEnvironments"),
        "fileinfo": request_bytes(provider, "POST", "/api/services/fileinfo", file, "application/json"),
    }
    return {name: functools.partial(repeat_script, each) for name, each in asked.items()}


def _measure_slices(
    pool: ProcessPoolExecutor, provider: str, asked: dict[str, Scripts], seconds: float
) -> dict[str, list[float]]:
    """Return p99 latencies in milliseconds, of short slices in turn, so that other load on the machine hits
    few of them. Each answer must be a success.
    """
    found: dict[str, list[float]] = {name: [] for name in asked}
    for _ in range(SLICES):
        for name, scripts in asked.items():
            figures = load_from(pool, provider, scripts, CLIENTS, seconds)
            assert not figures.failed and figures.per_second, (name, figures)
            found[name].append(figures.p99_ms)
    return found


def _compare_runs(quiet: list[float], beside: list[float]) -> dict[str, Any]:
    ratio = statistics.median(beside) / statistics.median(quiet)
    return {"quiet": quiet, "beside_strangers": beside, "ratio": round(ratio, 2)}


@contextmanager
def _at_the_public_address() -> Iterator[str]:
    """Serve a publisher's files at the public address; yield the URL by its name."""
    outside = BackgroundServer(source_app())
    outside._server.config.host = PUBLIC
    with outside:
        yield f"http://files.quick.example:{outside.port}"


@contextmanager
def slow_names(provider: str) -> Iterator[list[str]]:
    """Keep 16 requests for slow names in flight, half of them of one domain; yield the list of those answered
    so far.
    """
    ended: list[str] = []
    loop = asyncio.new_event_loop()

    async def ask(http: httpx.AsyncClient, at: int) -> None:
        while True:
            at += SLOW_IN_FLIGHT
            url = f"http://n{at}.slow{at if at % 2 else ''}.example/"
            answer = await http.post(f"{provider}/api/services/fileinfo", json={"type": "url", "url": url})
            assert answer.json()[0]["valid"] is False, answer.text
            ended.append(url)

    async def keep() -> None:
        limits = httpx.Limits(max_connections=SLOW_IN_FLIGHT)
        async with httpx.AsyncClient(trust_env=False, timeout=60, limits=limits) as http:
            await asyncio.gather(*(ask(http, at) for at in range(SLOW_IN_FLIGHT)))

    keeping = loop.create_task(keep())
    thread = threading.Thread(target=lambda: loop.run_until_complete(asyncio.wait([keeping])))
    thread.start()
    try:
        yield ended
        assert not keeping.done(), keeping
    finally:
        loop.call_soon_threadsafe(keeping.cancel)
        thread.join()
        loop.close()


class TarpitServer:
    """One server under as many names as are wanted, which sends a byte now and then but never a
    whole answer.
    """

    def __init__(self) -> None:
        self.asked = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> TarpitServer:
        self._thread.start()
        starting = asyncio.start_server(self._serve_slowly, PUBLIC, 0)
        self._server = asyncio.run_coroutine_threadsafe(starting, self._loop).result()
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def _serve_slowly(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.asked += 1
        try:
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
            while await reader.read(1024) or not reader.at_eof():
                writer.write(b"x")
                await asyncio.sleep(0.1)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._end_server(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end_server(self) -> None:
        self._server.close()
        held = asyncio.all_tasks() - {asyncio.current_task()}
        for task in held:
            task.cancel()
        await asyncio.gather(*held, return_exceptions=True)


def _publish_tarpits(world: LocalStack, nft: str, port: int) -> None:
    for number in range(PUBLICATIONS):
        url, text = f"http://t.tarpit{number % TARPITS}.example:{port}", b"%d" % number
        digest = hashlib.sha256(text).hexdigest()
        set_metadata(world.chain, world.account(3), nft, 0, url, 0, text, digest)


if __name__ == "__main__":
    main()
