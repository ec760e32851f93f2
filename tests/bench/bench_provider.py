"""Requests per second and latency of the Provider: ``python -m tests.bench.bench_provider [--seconds 3]``.

With ``--record`` the figure is written into the table of claims.

Each question with 1, 8 and 64 clients; beside it the ratio to an ASGI application that does nothing, served
the same way in the same run. The chain, the metadata cache and the source of files are real processes (an
operator-service of the tests answers for the cluster), unlike in the figures known of the original, whose
upstreams were stubbed.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import json
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import httpx

from tests.bench.load import LoadFigures, Script, request_bytes, run_load
from tests.bench.ordered import OrderBuyer, make_buyers
from tests.harness.fake_services import free_port
from tests.harness.local_stack import LocalStack, rules, world_in
from tests.verification_table import RECORD_HELP, record_figure

CLIENTS = (1, 8, 64)
BARE = """
import sys
from c2d_box.service.http_server import serve
from c2d_box.service.settings import ListenSection

async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    headers = [(b"content-type", b"application/json"), (b"content-length", b"17")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b'{"hello":"world"}'})

serve(app, ListenSection(host="127.0.0.1", port=int(sys.argv[1])))
"""
ORIGINAL = {
    "root": 140,
    "nonce": 830,
    "encrypt": 760,
    "fileinfo": 112,
    "computeEnvironments": 150,
    "download": 9,
}
"""The original's requests per second with 8 clients (``download``: any number): the lower of the known
figures.
"""
TIMES = {"nonce": 2.0, "encrypt": 2.0}
Scripts = Callable[[int], list[Script]]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=3.0, help="of each cell")
    parser.add_argument("--only", default="", help="a regular expression of questions")
    parser.add_argument("--record", action="store_true", help=RECORD_HELP)
    options = parser.parse_args()
    if options.record and options.only:
        parser.error("--record writes the figures of all questions")
    with tempfile.TemporaryDirectory(prefix="c2d-bench-provider-") as folder, world_in(Path(folder)) as world:
        found = measure_provider(world, options.seconds, options.only)
    print(json.dumps(found, indent=2))
    if options.record:
        record_figure("bench_provider", _summary(found))


def _summary(found: dict[str, Any]) -> str:
    cells = {name: cells["8"] for name, cells in found["questions"].items()}
    rates = [f"{name} {cell['per_second']:,.0f} ({cell['ratio_to_bare']})" for name, cell in cells.items()]
    started = found["seconds_from_start"]
    return (
        f"with 8 clients (ratio to the bare application): {', '.join(rates)}; "
        f"wanted figures missed: {', '.join(found['targets_missed']) or 'none'}; "
        f"{found['pss_mib']:.0f} MiB PSS; answers {started['answers']} s after its start, "
        f"asks the chain after {started['asks_the_chain']} s"
    )


def measure_provider(world: LocalStack, seconds: float, only: str) -> dict[str, Any]:
    ready = _measure_restart(world)
    found: dict[str, Any] = {"seconds_from_start": ready, "questions": {}}
    with bare_application() as bare:
        for name, scripts in provider_questions(world).items():
            if not re.search(only, name):
                continue
            beside = functools.partial(repeat_script, request_bytes(bare, "GET", "/"))
            cells = {}
            for clients in CLIENTS:
                nothing = run_load(bare, beside, clients, seconds / 2)
                ours = run_load(world.provider_url, scripts, clients, seconds)
                cells[str(clients)] = _table_cell(ours, nothing)
            found["questions"][name] = {**cells, **_target_row(name, cells["8"]["per_second"])}
    found["pss_mib"] = round(_pss_mib(world.processes[-1].pid), 1)
    found["targets_missed"] = [
        name for name, cell in found["questions"].items() if not cell.get("reached", True)
    ]
    return found


def provider_questions(world: LocalStack) -> dict[str, Scripts]:
    url, consumer = world.provider_url, world.account(7).address
    dataset = world.publish(service="access", price=0)
    compute = world.publish(compute=rules(allowRawAlgorithm=True), price=0)
    quote = {
        "datasets": [{"documentId": compute.did, "serviceId": "0"}],
        "algorithm": {"meta": {"rawcode": "print('hello')", "container": _container_image()}},
        "compute": {"env": "ocean-compute", "validUntil": int(time.time()) + 3000},
        "consumerAddress": consumer,
    }
    get = {
        "root": "/",
        "nonce": f"/api/services/nonce?userAddress={consumer}",
        "computeEnvironments": "/api/services/computeEnvironments",
        "computeStatus": f"/api/services/compute?consumerAddress={consumer}&jobId={'0' * 32}",
    }
    plain = {"type": "url", "url": f"{world.files.url}/data.csv", "method": "GET"}
    post: dict[str, tuple[str, bytes, str]] = {
        "encrypt": ("encrypt?chainId=8996", b'{"files":[]}' * 20, "application/octet-stream"),
        "fileinfo": ("fileinfo", _json_bytes(plain), "application/json"),
        "fileinfo of a service": (
            "fileinfo",
            _json_bytes({"did": dataset.did, "serviceId": "0"}),
            "application/json",
        ),
        "initializeCompute": ("initializeCompute", _json_bytes(quote), "application/json"),
    }
    found: dict[str, Scripts] = {
        name: functools.partial(repeat_script, request_bytes(url, "GET", target))
        for name, target in get.items()
    }
    for name, (path, body, kind) in post.items():
        asked = request_bytes(url, "POST", f"/api/services/{path}", body, kind)
        found[name] = functools.partial(repeat_script, asked)
    ordered = make_buyers(world, dataset, max(CLIENTS))
    return {**found, "download": functools.partial(_download_scripts, url, ordered)}


def repeat_script(asked: bytes, clients: int) -> list[Script]:
    return [itertools.repeat(asked) for _ in range(clients)]


def _download_scripts(url: str, ordered: Sequence[OrderBuyer], clients: int) -> list[Script]:
    """Make download requests that are signed when they are sent. Nonces are times, so that a later run in
    another process continues above them.
    """

    def script(buyer: OrderBuyer) -> Iterator[bytes]:
        buyer.nonce = int(time.time() * 1000)
        while True:
            yield request_bytes(url, "GET", f"/api/services/download?{buyer.signed_query()}")

    return [script(buyer) for buyer in ordered[:clients]]


def _table_cell(ours: LoadFigures, nothing: LoadFigures) -> dict[str, Any]:
    ratio = ours.per_second / nothing.per_second if nothing.per_second else None
    return {**asdict(ours), "ratio_to_bare": round(ratio, 3) if ratio is not None else None}


def _target_row(name: str, reached: float) -> dict[str, Any]:
    if name not in ORIGINAL:
        return {}
    wanted = ORIGINAL[name] * TIMES.get(name, 3.0)
    return {"wanted_with_8": wanted, "reached": reached >= wanted}


@contextmanager
def bare_application() -> Iterator[str]:
    port = free_port()
    with subprocess.Popen([sys.executable, "-c", BARE, str(port)]) as process:
        url = f"http://127.0.0.1:{port}"
        _until_answered(url)
        try:
            yield url
        finally:
            process.terminate()


def _measure_restart(world: LocalStack) -> dict[str, float]:
    """Restart the Provider; return the seconds to its first answer, and until it can ask the chain."""
    answered: list[float] = []
    began = time.perf_counter()

    def look() -> None:
        _until_answered(world.provider_url)
        answered.append(time.perf_counter() - began)

    looking = threading.Thread(target=look)
    world.stop_provider()
    began = time.perf_counter()
    looking.start()
    world.start_provider()
    ready = time.perf_counter() - began
    looking.join()
    return {"answers": round(answered[0], 2), "asks_the_chain": round(ready, 2)}


def _until_answered(url: str) -> None:
    for _ in range(400):
        try:
            httpx.get(url, trust_env=False)
            return
        except httpx.TransportError:
            time.sleep(0.02)
    raise AssertionError(f"nothing answers at {url}")


def _pss_mib(pid: int) -> float:
    """Return the memory (PSS) of a process in MiB."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("Pss:")).split()[1]) / 1024


def _container_image() -> dict[str, str]:
    return {"entrypoint": "python $ALGO", "image": "i", "tag": "t", "checksum": "sha256:" + "ab" * 32}


def _json_bytes(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


if __name__ == "__main__":
    main()
