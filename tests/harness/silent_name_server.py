"""A network namespace for one process, with a name server that answers some names and is silent on others.

Run as ``unshare -Urnm python -m tests.harness.silent_name_server``: nothing leaves the network namespace,
and what looks like a public address is one of its loopback device. Prints, as JSON, how long requests of
others took while the Provider was quiet, and while it held slow names in flight.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

PUBLIC = "93.184.216.34"
SLOW_IN_FLIGHT = 16
ROUNDS = 150


def isolate_network(folder: Path) -> None:
    """Give the namespace's loopback device a public address, and make our name server its resolver."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    subprocess.run(["ip", "addr", "add", f"{PUBLIC}/32", "dev", "lo"], check=True)
    (folder / "resolv.conf").write_text("nameserver 127.0.0.1\n")
    target = Path("/etc/resolv.conf").resolve()
    subprocess.run(["mount", "--bind", str(folder / "resolv.conf"), str(target)], check=True)


class NameServer(threading.Thread):
    """A name server that ignores questions about ``*.slow*.example`` and resolves every other name to the
    public address.
    """

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 53))
        self.silent = 0

    def run(self) -> None:
        while True:
            question, sender = self._socket.recvfrom(2048)
            if b"slow" in question:
                self.silent += 1
            else:
                self._socket.sendto(_dns_answer(question), sender)


def _dns_answer(question: bytes) -> bytes:
    end = question.index(b"\0", 12) + 5
    is_ipv4 = question[end - 4 : end - 2] == b"\0\1"
    head = question[:2] + b"\x81\x80\0\1" + (b"\0\1" if is_ipv4 else b"\0\0") + b"\0\0\0\0"
    record = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4" + socket.inet_aton(PUBLIC) if is_ipv4 else b""
    return head + question[12:end] + record


def source_app() -> Starlette:
    async def serve(request: Request) -> Response:
        return Response(b"a,b\n1,2\n", media_type="text/csv")

    async def environments(request: Request) -> Response:
        return JSONResponse([])

    return Starlette(
        routes=[
            Route("/data.csv", serve, methods=["GET", "HEAD"]),
            Route("/api/v1/operator/environments", environments),
        ]
    )


async def p99_milliseconds(ask: Any) -> float:
    """Return the 99th percentile of a request's time in milliseconds."""
    took = []
    for at in range(ROUNDS):
        began = time.perf_counter()
        await ask(at)
        took.append((time.perf_counter() - began) * 1000)
    return sorted(took)[int(len(took) * 0.99) - 1]


async def measure_names(provider: str, other: int) -> dict[str, Any]:
    async with httpx.AsyncClient(
        trust_env=False, timeout=60, limits=httpx.Limits(max_connections=64)
    ) as http:

        async def fileinfo(url: str) -> httpx.Response:
            return await http.post(f"{provider}/api/services/fileinfo", json={"type": "url", "url": url})

        async def by_name(at: int) -> None:
            answer = await fileinfo(f"http://files{at % 40}.quick.example:{other}/data.csv")
            assert answer.json()[0]["valid"] is True, answer.text

        async def root(at: int) -> None:
            assert (await http.get(f"{provider}/")).status_code == 200

        async def slow(at: int, domain: str) -> None:
            while True:
                at += SLOW_IN_FLIGHT
                answer = await fileinfo(f"http://n{at}.{domain.format(at)}.example/")
                assert answer.json()[0]["valid"] is False, answer.text

        found: dict[str, Any] = {}
        kinds = {"quiet": "", "one domain": "slow", "many domains": "slow{}"}
        for kind, domain in kinds.items():
            held = [asyncio.create_task(slow(at, domain)) for at in range(SLOW_IN_FLIGHT if domain else 0)]
            await asyncio.sleep(0.5)
            found[kind] = {
                "fileinfo by name": await p99_milliseconds(by_name),
                "root": await p99_milliseconds(root),
            }
            assert not any(task.done() for task in held)
            for task in held:
                task.cancel()
        began = time.perf_counter()
        await fileinfo("http://last.slow.example/")
        found["slow name, seconds"] = time.perf_counter() - began
        return found


def main() -> None:
    os.environ["PYTHONUNBUFFERED"] = "1"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        isolate_network(folder)
        NameServer().start()
        from tests.harness.fake_services import BackgroundServer, free_port
        from tests.harness.provider_app import provider_settings

        outside = BackgroundServer(source_app())
        outside._server.config.host = PUBLIC
        with outside:
            port = free_port()
            made = provider_settings(folder, listen={"host": "127.0.0.1", "port": port})
            (folder / "config.json").write_text(made.model_dump_json(by_alias=True, exclude_none=True))
            command = [sys.executable, "-m", "c2d_box.provider", "--config", str(folder / "config.json")]
            provider = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                _wait_ready(f"http://127.0.0.1:{port}/")
                print(json.dumps(asyncio.run(measure_names(f"http://127.0.0.1:{port}", outside.port))))
            finally:
                provider.kill()
                provider.wait()


def _wait_ready(url: str) -> None:
    for _ in range(400):
        try:
            httpx.get(url, trust_env=False)
            return
        except httpx.TransportError:
            time.sleep(0.05)
    raise SystemExit("the Provider did not start")


if __name__ == "__main__":
    main()
