"""The real process over real HTTP: who is let in, what is served, how it ends."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import httpx
import pytest

from sandbox.testchain.deployment.deploy import main as deploy_main
from sandbox.testchain.json_rpc.callers import HttpRpc
from sandbox.testchain.local_chain import LocalChain, running_chain

ORIGIN = "http://127.0.0.1:8555"
BLOCK_NUMBER = {"jsonrpc": "2.0", "id": 1, "method": "eth_blockNumber", "params": []}


@pytest.fixture(scope="module")
def served() -> Iterator[LocalChain]:
    with running_chain(allowedOrigins=[ORIGIN], bodyLimit=200_000) as chain:
        yield chain


@pytest.fixture(scope="module")
def client(served: LocalChain) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=served.url, trust_env=False, timeout=60) as client:
        yield client


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""]
)
def test_only_json_is_taken(client: httpx.Client, kind: str) -> None:
    response = client.post("/", content=json.dumps(BLOCK_NUMBER), headers={"content-type": kind})
    assert response.status_code == 415


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:1", 200),
        ("127.0.0.1", 200),
        ("[::1]:8545", 200),
        ("chain", 200),
        ("CHAIN.c2d.svc:8545", 200),
        ("chain.c2d.svc.cluster.local.", 200),
        ("evil.example", 403),
        ("svc", 403),
        ("chain.c2d.svc.evil.example", 403),
        ("127.0.0.1.evil.example", 403),
        ("", 403),
    ],
)
def test_the_host_header_must_be_one_of_ours(client: httpx.Client, host: str, status: int) -> None:
    assert client.post("/", json=BLOCK_NUMBER, headers={"host": host}).status_code == status
    assert client.get("/address.json", headers={"host": host}).status_code == status


@pytest.mark.parametrize(
    ("origin", "status"), [(ORIGIN, 200), ("http://evil.example", 403), ("null", 403), ("", 403)]
)
def test_browser_pages_are_refused_unless_listed(client: httpx.Client, origin: str, status: int) -> None:
    response = client.post("/", json=BLOCK_NUMBER, headers={"origin": origin})
    assert response.status_code == status
    assert response.headers.get("access-control-allow-origin") == (ORIGIN if status == 200 else None)


def test_preflights_pass_for_listed_origins_only(client: httpx.Client) -> None:
    asks = {"access-control-request-method": "POST", "access-control-request-headers": "content-type"}
    allowed = client.options("/", headers={"origin": ORIGIN, **asks})
    assert (allowed.status_code, allowed.headers["access-control-allow-headers"]) == (204, "content-type")
    assert client.options("/", headers={"origin": "http://evil.example", **asks}).status_code == 403


@pytest.mark.parametrize("chunked", [False, True])
def test_large_bodies_are_refused(client: httpx.Client, chunked: bool) -> None:
    body = b" " * 200_001
    content: Any = iter([body]) if chunked else body
    assert client.post("/", content=content, headers={"content-type": "application/json"}).status_code == 413


def test_get_and_unknown_paths_are_not_there(client: httpx.Client) -> None:
    assert client.get("/").status_code == 405
    assert client.get("/anything").status_code == 404


def test_the_address_file_is_served_and_on_disk(client: httpx.Client, served: LocalChain) -> None:
    assert client.get("/address.json").json()["development"] == served.addresses


def test_a_waiting_caller_hears_of_a_block_at_once(client: httpx.Client, served: LocalChain) -> None:
    head = client.get("/c2d/head").json()["number"]
    heard: list[float] = []

    def wait() -> None:
        with httpx.Client(base_url=served.url, trust_env=False, timeout=30) as other:
            answer = other.get("/c2d/head", params={"after": head, "timeout": 20}).json()
            heard.append(time.monotonic())
            assert answer["number"] == head + 1

    waiter = threading.Thread(target=wait)
    waiter.start()
    time.sleep(0.3)
    assert not heard
    client.post("/", json={**BLOCK_NUMBER, "method": "evm_mine"})
    mined = time.monotonic()
    waiter.join()
    assert heard[0] - mined < 0.3


def test_an_idle_connection_outlives_the_clients_patience(served: LocalChain) -> None:
    """Node gives up an idle one after 5 s: a server that closes it at that moment loses a transaction."""
    host, port = served.url.removeprefix("http://").split(":")
    connection = HTTPConnection(host, int(port), timeout=60)
    connection.auto_open = 0
    connection.connect()
    for pause in (6, 0):
        connection.request("GET", "/c2d/head")
        assert connection.getresponse().read()
        time.sleep(pause)
    connection.close()


def test_waiting_ends_with_the_same_number_when_nothing_happens(client: httpx.Client) -> None:
    head = client.get("/c2d/head").json()
    assert client.get("/c2d/head", params={"after": head["number"], "timeout": 0.1}).json() == head


def test_a_caller_ahead_of_the_chain_is_answered_at_once(client: httpx.Client) -> None:
    began = time.monotonic()
    client.get("/c2d/head", params={"after": 10**6, "timeout": 20})
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("query", ["after=x", "timeout=soon", "timeout=nan"])
def test_bad_polls_are_refused(client: httpx.Client, query: str) -> None:
    assert client.get(f"/c2d/head?{query}").status_code == 400


def test_reads_do_not_wait_for_a_long_transaction(client: httpx.Client, served: LocalChain) -> None:
    def write() -> None:
        with HttpRpc(served.url) as rpc:
            rpc.call("eth_sendTransaction", {"from": sender, "data": "0x5b5f56", "gas": hex(4_000_000)})

    with HttpRpc(served.url) as rpc:
        sender = rpc.call("eth_accounts")[9]
    writer = threading.Thread(target=write)
    writer.start()
    time.sleep(0.05)
    slowest = 0.0
    while writer.is_alive():
        began = time.monotonic()
        client.post("/", json=BLOCK_NUMBER)
        slowest = max(slowest, time.monotonic() - began)
    assert 0 < slowest < 1.0


def test_1024_nested_calls_do_not_end_the_process(served: LocalChain) -> None:
    runtime = "5f5f5f5f5f305af100"
    with HttpRpc(served.url) as rpc:
        sender = rpc.call("eth_accounts")[9]
        created = rpc.call("eth_sendTransaction", {"from": sender, "data": f"0x68{runtime}5f5260096017f3"})
        address = rpc.call("eth_getTransactionReceipt", created)["contractAddress"]
        assert rpc.call("eth_getCode", address, "latest") == f"0x{runtime}"
        assert rpc.call("eth_call", {"to": address, "gas": hex(60_000_000)}, "latest") == "0x"
        assert rpc.call("eth_chainId") == "0x2324"


def test_going_back_wakes_waiting_callers(client: httpx.Client, served: LocalChain) -> None:
    with HttpRpc(served.url) as rpc:
        snapshot = rpc.call("evm_snapshot")
        rpc.call("evm_mine")
        head = client.get("/c2d/head").json()["number"]
        back = threading.Timer(0.3, lambda: httpx.post(served.url, json=_revert(snapshot), trust_env=False))
        back.start()
        assert client.get("/c2d/head", params={"after": head, "timeout": 20}).json()["number"] == head - 1
        back.join()


def _revert(snapshot: str) -> dict[str, object]:
    return {"jsonrpc": "2.0", "id": 1, "method": "evm_revert", "params": [snapshot]}


def test_sigterm_is_not_held_up_by_a_long_call(tmp_path: Path) -> None:
    with running_chain(tmp_path / "data", deployContracts=False) as chain:
        endless = {
            "jsonrpc": "2.0",
            "id": 1,
            "method": "eth_call",
            "params": [{"data": "0x5b5f56"}, "latest"],
        }

        def call() -> None:
            with contextlib.suppress(httpx.HTTPError):
                httpx.post(chain.url, json=endless, trust_env=False, timeout=120)

        caller = threading.Thread(target=call)
        caller.start()
        time.sleep(0.5)
        assert caller.is_alive()
        assert chain.stop() == 0
        caller.join()


def test_the_deployer_serves_any_node_and_recognises_its_work(tmp_path: Path) -> None:
    output = tmp_path / "address.json"
    with running_chain(tmp_path / "data", deployContracts=False) as chain, HttpRpc(chain.url) as rpc:
        owner = rpc.call("eth_accounts")[0]
        rpc.call("eth_sendTransaction", {"from": owner, "to": owner})
        command = ["--rpc", chain.url, "--output", str(output)]
        assert deploy_main(command) == 0
        first, blocks = output.read_text(), rpc.call("eth_blockNumber")
        assert deploy_main(command) == 0
        assert (output.read_text(), rpc.call("eth_blockNumber")) == (first, blocks)
    assert deploy_main(command) == 1


def test_sigterm_ends_it_cleanly_even_with_a_poll_open(tmp_path: Path) -> None:
    with running_chain(tmp_path / "data") as chain:
        head = httpx.get(f"{chain.url}/c2d/head", trust_env=False).json()["number"]
        poll = threading.Thread(
            target=lambda: httpx.get(
                f"{chain.url}/c2d/head?after={head}&timeout=60", trust_env=False, timeout=60
            )
        )
        poll.start()
        time.sleep(1.0)
        began = time.monotonic()
        assert chain.stop() == 0
        poll.join()
        assert time.monotonic() - began < 30  # the poll asked for 60


def test_a_child_does_not_outlive_its_parent(tmp_path: Path) -> None:
    program = f"""
import os, pathlib
from sandbox.testchain.local_chain import start
folder = pathlib.Path({str(tmp_path)!r})
chain = start(folder, folder / "data", deployContracts=False)
print(chain.process.pid, flush=True)
os._exit(1)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, timeout=60, check=False
    )
    child = Path("/proc", done.stdout.strip())
    deadline = time.monotonic() + 20
    while child.exists() and "Z" not in (child / "stat").read_text().rpartition(")")[2]:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_taken_port_is_a_coded_error(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        status, error = _failing_start(tmp_path, {"listen": {"port": other.getsockname()[1]}})
    assert (status, error["code"]) == (3, "C2D-PORT-TAKEN")


def test_a_folder_in_use_is_a_coded_error(tmp_path: Path, served: LocalChain) -> None:
    status, error = _failing_start(tmp_path, {"dataDir": str(served.data_dir)})
    assert (status, error["code"]) == (4, "C2D-CHAIN-LOCKED")


def test_another_chain_in_the_folder_is_a_coded_error(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with running_chain(data):
        pass
    status, error = _failing_start(tmp_path, {"dataDir": str(data), "chainId": 1337})
    assert (status, error["code"]) == (4, "C2D-CHAIN-MISMATCH")


def test_a_corrupt_file_is_a_coded_error(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "chain.sqlite").write_bytes(os.urandom(8192))
    status, error = _failing_start(tmp_path, {"dataDir": str(data)})
    assert (status, error["code"]) == (1, "C2D-CHAIN-CORRUPT")


@pytest.mark.parametrize("settings", [{"colour": "blue"}, {"chainId": "many"}, {"listen": {"port": 70000}}])
def test_wrong_settings_are_named(tmp_path: Path, settings: dict[str, object]) -> None:
    status, error = _failing_start(tmp_path, settings)
    assert (status, error["code"]) == (2, "C2D-CONFIG-INVALID")
    assert next(iter(settings)) in error["message"]


def _failing_start(tmp_path: Path, settings: dict[str, object]) -> tuple[int, dict[str, Any]]:
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"listen": {"port": 0}, "dataDir": str(tmp_path / "data"), **settings}))
    command = [sys.executable, "-m", "sandbox.testchain", "--config", str(config)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert "Traceback" not in done.stderr + done.stdout
    return done.returncode, json.loads(done.stderr)
