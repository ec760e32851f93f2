"""The SDK against the real Provider, metadata cache and chain; operator-service is a fake behind its port."""

from __future__ import annotations

import json
import secrets
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from c2d_box.chain import accounts
from c2d_box.client import Connection, Consumer, PoolPrice, Publisher, explain_permission
from c2d_box.errors import Refused
from sandbox.testchain.local_chain import running_chain
from tests.harness.pool_contracts import pool_contracts

MNEMONIC = "taxi music thumb unique chat sand crew more leg another off lamp"
CONTAINER = {
    "entrypoint": "python $ALGO",
    "image": "c2d.local/algo-python",
    "tag": "latest",
    "checksum": "sha256:" + "1" * 64,
}
ENVIRONMENTS = [
    {"id": "ocean-compute", "priceMin": 0, "consumerAddress": "0x03b9d6Ba248fe931e338840223985CcC43E05894"},
    {"id": "paid", "priceMin": 1.2, "consumerAddress": "0x1E40c0231516C61D2C8F3794626B37c3eBdc7c8F"},
]
FILES = {"/data.csv": b"a,b\n1,2\n", "/algorithm.py": b"print(1)\n"}


class World:
    """What stands outside: a file server and an operator-service that only keeps a list."""

    def __init__(self) -> None:
        self.jobs: dict[str, dict[str, Any]] = {}
        world = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                path, query = urlsplit(self.path).path, parse_qs(urlsplit(self.path).query)
                if path.endswith("/environments"):
                    self._json([{**e, "maxJobDuration": 3600, "maxJobs": 10} for e in ENVIRONMENTS])
                elif path.endswith("/compute"):
                    self._json(world.listed(query["owner"][0], query.get("jobId", [""])[0]))
                else:
                    self._send(200 if path in FILES else 404, FILES.get(path, b""))

            do_HEAD = do_GET

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                self._json(world.start(body))

            def _json(self, value: Any) -> None:
                self._send(200, json.dumps(value).encode(), "application/json")

            def _send(self, status: int, content: bytes, kind: str = "text/plain") -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content)

            def log_message(self, *_arguments: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def start(self, body: dict[str, Any]) -> list[dict[str, Any]]:
        job = {
            "jobId": body["jobId"],
            "agreementId": body["agreementId"],
            "owner": body["owner"],
            "status": 1,
            "statusText": "Warming up",
            "dateFinished": None,
            "results": "",
        }
        return [self.jobs.setdefault(body["jobId"], job)]

    def listed(self, owner: str, job_id: str) -> list[dict[str, Any]]:
        mine = [j for j in self.jobs.values() if j["owner"].lower() == owner.lower()]
        return [j for j in mine if job_id in ("", j["jobId"])]


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    made = World()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture(scope="module")
def connection(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    folder = tmp_path_factory.mktemp("services")
    for name in ("provider-key", "cache-key", "token-secret"):
        (folder / name).write_text("0x" + secrets.token_hex(32))
    provider, cache = free_port(), free_port()
    provider_url, cache_url = f"http://127.0.0.1:{provider}", f"http://127.0.0.1:{cache}"
    with running_chain(poolContracts=pool_contracts()) as chain, ExitStack() as stack:
        section = {"id": 8996, "rpcUrl": chain.url, "addressFile": str(chain.address_file)}
        shared = {"chain": section, "secretsDir": str(folder)}
        configs = {
            "provider": {
                **shared,
                "listen": {"host": "127.0.0.1", "port": provider},
                "cacheUrl": cache_url,
                "operatorServiceUrl": world.url,
                "publicUrl": provider_url,
                "internalUrl": provider_url,
                "fetch": {"allow": [world.url]},
                "database": str(folder / "provider.sqlite"),
            },
            "metadata": {
                **shared,
                "listen": {"host": "127.0.0.1", "port": cache},
                "endpointAliases": {provider_url: provider_url},
                "database": str(folder / "cache.sqlite"),
            },
        }
        for package, config in configs.items():
            serve(stack, folder, package, config)
        for url in (provider_url, cache_url):
            wait_until_ready(url)
        with Connection(provider_url, cache_url, chain.url, chain.address_file) as made:
            yield made


def serve(stack: ExitStack, folder: Path, package: str, config: dict[str, Any]) -> None:
    path = folder / f"{package}.json"
    path.write_text(json.dumps(config))
    log = stack.enter_context((folder / f"{package}.log").open("wb"))
    command = [sys.executable, "-m", f"c2d_box.{package}", "--config", str(path)]
    process = subprocess.Popen(command, stdout=log, stderr=log)

    def end() -> None:
        process.terminate()
        process.wait(20)

    stack.callback(end)


def wait_until_ready(url: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"{url}/healthz", trust_env=False).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.1)
    raise AssertionError(f"{url} is not ready")


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture(scope="module")
def publisher(connection: Connection) -> Publisher:
    return Publisher(connection, accounts.from_mnemonic(MNEMONIC, 3))


@pytest.fixture(scope="module")
def consumer(connection: Connection) -> Consumer:
    return Consumer(connection, accounts.from_mnemonic(MNEMONIC, 7))


@pytest.fixture(scope="module")
def assets(publisher: Publisher, world: World) -> tuple[str, str]:
    data = {"type": "url", "url": f"{world.url}/data.csv"}
    code = {"type": "url", "url": f"{world.url}/algorithm.py"}
    dataset = publisher.publish_dataset("Cells", [data], price=2, services=("compute", "access"))
    return dataset.did, publisher.publish_algorithm("Trainer", [code], container=CONTAINER).did


def test_nothing_runs_until_its_publisher_permits_it(
    connection: Connection, publisher: Publisher, consumer: Consumer, assets: tuple[str, str]
) -> None:
    with pytest.raises(Refused) as refused:
        consumer.start(*assets)
    assert refused.value.code == "C2D-NOT-TRUSTED-ALGO"
    assert "nobody may compute until its owner permits" in refused.value.message
    assert explain_permission(connection, *assets).deciding_reason.text in refused.value.message
    publisher.permit(*assets)
    assert explain_permission(connection, *assets).allowed
    job = consumer.start(*assets)
    assert consumer.get_job_details(job).owner == consumer.signer.address


def test_paid_environments_are_paid_and_fees_extended(consumer: Consumer, assets: tuple[str, str]) -> None:
    ocean = consumer.connection.chain.addresses.ocean
    before = consumer.connection.chain.balance_of(consumer.signer.address, ocean)
    job = consumer.start(*assets, environment="paid", seconds=600)
    paid = before - consumer.connection.chain.balance_of(consumer.signer.address, ocean)
    assert sum(c.fee for c in job.costs) == pytest.approx(12 * 10**18, rel=0.05)
    assert paid >= sum(c.fee for c in job.costs)


def test_raw_code_is_refused_where_it_is_not_allowed(consumer: Consumer, assets: tuple[str, str]) -> None:
    with pytest.raises(Refused) as refused:
        consumer.start(assets[0], {"rawcode": "print('hello world')", "container": CONTAINER})
    assert refused.value.code == "C2D-NO-RAW-ALGO-ALLOWED"
    explained = explain_permission(consumer.connection, assets[0], "raw")
    assert explained.code == "no_raw_algo_allowed" and explained.deciding_reason.text in refused.value.message


def test_an_ordered_file_is_downloaded_and_ordered_once(
    consumer: Consumer, assets: tuple[str, str], tmp_path: Path
) -> None:
    (path,) = consumer.download(assets[0], tmp_path)
    assert (path.name, path.read_bytes()) == ("data.csv", FILES["/data.csv"])
    chain, ocean = consumer.connection.chain, consumer.connection.chain.addresses.ocean
    before = chain.balance_of(consumer.signer.address, ocean)
    consumer.download(assets[0], tmp_path)
    assert chain.balance_of(consumer.signer.address, ocean) == before


def test_threads_of_one_account_start_jobs_side_by_side(
    world: World, consumer: Consumer, assets: tuple[str, str]
) -> None:
    before = set(world.jobs)
    with ThreadPoolExecutor(3) as pool:
        started = list(pool.map(lambda _n: consumer.start(*assets, reuse=False).id, range(3)))
    assert set(world.jobs) - before == set(started) and len(set(started)) == 3


def test_a_revoked_algorithm_is_refused_again(
    publisher: Publisher, consumer: Consumer, assets: tuple[str, str]
) -> None:
    publisher.revoke(*assets)
    with pytest.raises(Refused) as refused:
        consumer.quote(*assets)
    assert refused.value.code == "C2D-NOT-TRUSTED-ALGO"


PRICES: dict[str, tuple[Any, float]] = {
    "free": (0, 0),
    "fixed": ("1.5", 1.5),
    "pool": (PoolPrice("1.5", 60), 1.5),
}


@pytest.mark.parametrize("kind", PRICES)
def test_each_price_is_published_quoted_and_bought(
    world: World, publisher: Publisher, consumer: Consumer, kind: str, tmp_path: Path
) -> None:
    """One asset sold each way: the cache shows its price, a limit below it pays nothing, an order within
    the limit pays what was quoted, and both a job and a download stand on it.
    """
    asked, shown = PRICES[kind]
    data = {"type": "url", "url": f"{world.url}/data.csv"}
    code = {"type": "url", "url": f"{world.url}/algorithm.py"}
    dataset = publisher.publish_dataset(kind, [data], price=asked, services=("compute", "access")).did
    algorithm = publisher.publish_algorithm(kind, [code], container=CONTAINER).did
    publisher.permit(dataset, algorithm)
    chain = consumer.connection.chain
    ocean = chain.addresses.ocean
    assert consumer.connection.cache.read_record(dataset)["stats"]["price"]["value"] == shown

    quote = consumer.quote(dataset, algorithm)
    price = quote.totals.get(ocean, 0)
    assert shown * 10**18 <= price <= shown * 1.03 * 10**18
    before, spent = chain.balance_of(consumer.signer.address, ocean), _transactions(consumer)
    if price:
        with pytest.raises(Refused) as refused:
            consumer.start(dataset, algorithm, limits={ocean: price - 1})
        assert refused.value.code == "C2D-ORDER-TOO-DEAR" and _transactions(consumer) == spent
    consumer.start(dataset, algorithm, limits={ocean: price}, slippage=0.01)
    assert before - chain.balance_of(consumer.signer.address, ocean) == price

    again = consumer.quote_download(dataset).totals.get(ocean, 0)
    assert (again > price) if kind == "pool" else (again == price)
    (path,) = consumer.download(dataset, tmp_path, limits={ocean: again})
    assert path.read_bytes() == FILES["/data.csv"]


def _transactions(consumer: Consumer) -> int:
    return int(consumer.connection.chain.web3.eth.get_transaction_count(consumer.signer.address))  # type: ignore[arg-type]
