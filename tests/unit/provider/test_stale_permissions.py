"""A withdrawn permission starts no job, however the metadata cache was kept from hearing of it."""

from __future__ import annotations

import contextlib
import copy
import os
import selectors
import signal
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from c2d_box.chain.publishing import set_metadata
from tests.harness.fake_services import free_port
from tests.harness.local_stack import LocalStack, StackAsset, spawn_service, spawned_service, world_in
from tests.unit.provider.test_compute_flow import body, ordered, permit, publish_pair, start_body

BOUND = 2.0
CODE = "C2D-PERMISSIONS-STALE"


class Line:
    """A TCP connection to a service that can be cut. A cut line takes connections and ends them."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._target = (parts.hostname, parts.port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.is_cut = False
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._relay, args=(near,), daemon=True).start()

    def _relay(self, near: socket.socket) -> None:
        with contextlib.suppress(OSError), near, selectors.DefaultSelector() as selector:
            if self.is_cut:
                return
            with socket.create_connection(self._target) as far:
                selector.register(near, selectors.EVENT_READ, far)
                selector.register(far, selectors.EVENT_READ, near)
                while not self.is_cut:
                    for key, _ in selector.select(0.05):
                        data = key.fileobj.recv(65536)  # type: ignore[union-attr]
                        if not data:
                            return
                        key.data.sendall(data)

    def close(self) -> None:
        self._listener.close()


class Tarpit:
    """Takes connections and says nothing."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def close(self) -> None:
        self._listener.close()


@dataclass
class Place:
    """A Provider with a metadata cache of its own, one dataset and one algorithm with orders, and a grant."""

    world: LocalStack
    provider: str
    cache: str
    cache_process: int
    line: Line
    tarpit: Tarpit
    dataset: StackAsset
    algorithm: StackAsset
    orders: list[str]

    def permit(self) -> None:
        self.dataset.document["metadata"]["description"] = "Something to compute with"
        permit(self.world, self.dataset, self.algorithm)
        self.heard()

    def revoke(self) -> None:
        """Withdraws the permission on the chain; nobody waits for the cache."""
        self._withdraw()
        self.world.rewrite(self.dataset)

    def _withdraw(self) -> None:
        self.dataset.document["services"][0]["compute"]["publisherTrustedAlgorithms"] = []

    def revoke_through(self, decryptor_url: str) -> None:
        """Likewise, the document to be had from ``decryptor_url``."""
        self._withdraw()
        set_metadata(
            self.world.chain,
            self.world.account(3),
            self.dataset.nft,
            0,
            decryptor_url,
            2,
            b"sealed",
            "ab" * 32,
        )

    def heard(self) -> None:
        """Waits until this cache shows what the other one shows."""
        path, deadline = f"/api/aquarius/assets/ddo/{self.dataset.did}", time.monotonic() + 60
        tx = self.world.record(self.dataset.did)["event"]["tx"]
        while True:
            answer = httpx.get(self.cache + path, trust_env=False, timeout=10)
            if answer.status_code == 200 and answer.json()["event"]["tx"] == tx:
                return
            assert time.monotonic() < deadline, answer.text
            time.sleep(0.05)

    def quote(self) -> httpx.Response:
        consumer = self.world.account(7).address
        asked = body(self.world, self.dataset, self.algorithm, consumer)
        return self._post("initializeCompute", asked)

    def start(self) -> httpx.Response:
        return self._post("compute", start_body(self.world, self.dataset, self.algorithm, self.orders))

    def _post(self, path: str, asked: Any) -> httpx.Response:
        url = f"{self.provider}/api/services/{path}"
        return httpx.post(url, json=asked, trust_env=False, timeout=60)

    def assert_nothing_starts(self) -> None:
        jobs = len(self.world.operator.payloads)
        for answer in (self.quote(), self.start()):
            assert answer.status_code == 503, answer.text
            assert answer.json()["away"] == "metadata cache" and "retry-after" in answer.headers
        assert len(self.world.operator.payloads) == jobs


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with world_in(tmp_path_factory.mktemp("stale")) as world, contextlib.ExitStack() as stack:
        line, tarpit = Line(world.chain_process.url), Tarpit()
        stack.callback(line.close)
        stack.callback(tarpit.close)
        plain = world.settings["metadata"]
        settings = {
            **plain,
            "listen": {"host": "127.0.0.1", "port": free_port()},
            "chain": {**plain["chain"], "rpcUrl": line.url},
            "endpointAliases": {**plain["endpointAliases"], tarpit.url: tarpit.url},
            "database": str(world.folder / "second.sqlite"),
            "decryptSeconds": 1.0,
            "readySeconds": 1.0,
        }
        process = spawn_service(world, "metadata", settings)
        cache = f"http://127.0.0.1:{settings['listen']['port']}"
        changes = {
            "cacheUrl": cache,
            "database": str(world.folder / "second-provider.sqlite"),
            "freshness": {"seconds": BOUND, "waitSeconds": 0.3},
        }
        provider = stack.enter_context(spawned_service(world, "provider", changes))
        dataset, algorithm = publish_pair(world)
        permit(world, dataset, algorithm)
        orders = ordered(world, dataset, algorithm)
        made = Place(world, provider, cache, process.pid, line, tarpit, dataset, algorithm, orders)
        made.heard()
        yield made


def assert_heard(place: Place) -> None:
    """The cache has read the withdrawal, and the Provider says so."""
    deadline = time.monotonic() + 30
    while (answer := place.quote()).status_code == 503:
        assert time.monotonic() < deadline, answer.text
        time.sleep(0.1)
    assert (answer.status_code, answer.json()["error"]) == (400, {"dataset": "not_trusted_algo"})


def test_a_cache_that_is_level_is_believed_at_once(place: Place) -> None:
    place.permit()
    assert place.quote().status_code == 200
    answer = httpx.get(f"{place.cache}/readyz", trust_env=False).json()
    assert answer["ready"] and answer["behind"] == 0


def test_a_cache_that_does_not_get_on(place: Place) -> None:
    """It answers, and stands: its node is out of its reach, and not out of the Provider's."""
    place.permit()
    place.line.is_cut = True
    try:
        place.revoke()
        time.sleep(BOUND + 1.5)
        place.assert_nothing_starts()
        assert CODE in (told := place.quote().json()["error"]) and "has read up to block" in told
        ready = httpx.get(f"{place.cache}/readyz", trust_env=False)
        assert ready.status_code == 503 and "reason" in ready.json()
        assert httpx.get(f"{place.cache}/livez", trust_env=False).status_code == 200
    finally:
        place.line.is_cut = False
    assert_heard(place)


def test_a_cache_that_is_stopped(place: Place) -> None:
    place.permit()
    os.kill(place.cache_process, signal.SIGSTOP)
    try:
        place.revoke()
        place.assert_nothing_starts()
    finally:
        os.kill(place.cache_process, signal.SIGCONT)
    assert_heard(place)


def test_a_withdrawal_in_a_poisonous_document(place: Place) -> None:
    place.permit()
    kept = copy.deepcopy(place.dataset.document)
    place.dataset.document["metadata"]["description"] = "\ud800"
    place.revoke()
    time.sleep(1.0)
    place.assert_nothing_starts()
    told = place.quote().json()["error"]
    assert CODE in told and "C2D-JSON-ENCODING" in told
    state = httpx.get(f"{place.cache}/api/aquarius/state/ddo?did={place.dataset.did}", trust_env=False).json()
    assert state["valid"] is False and "C2D-JSON-ENCODING" in state["error"]
    tx = {"transactionId": state["tx_id"], "chainId": 8996}
    trigger = httpx.post(
        f"{place.cache}/api/aquarius/assets/triggerCaching", json=tx, trust_env=False, timeout=30
    )
    assert trigger.status_code == 400 and "C2D-JSON-ENCODING" in trigger.json()["error"]
    place.dataset.document.update(kept)
    place.revoke()
    assert_heard(place)


def test_a_withdrawal_behind_a_server_that_never_answers(place: Place) -> None:
    place.permit()
    place.revoke_through(place.tarpit.url)
    time.sleep(0.5)
    place.assert_nothing_starts()
    assert "still to be read" in place.quote().json()["error"]
    place.revoke()
    assert_heard(place)


def test_a_grant_is_not_redeemed_on_stale_permissions(place: Place) -> None:
    place.permit()
    started = place.start()
    assert started.status_code == 200, started.text
    token = place.world.operator.payloads[-1]["grants"]["inputs"][0]["files"][0]
    assert _redeemed(place, token) == 200
    place.line.is_cut = True
    try:
        place.revoke()
        time.sleep(BOUND + 1.5)
        assert _redeemed(place, token) == 503
    finally:
        place.line.is_cut = False
    assert_heard(place)


def _redeemed(place: Place, token: str) -> int:
    headers = {"Authorization": f"Bearer {token}"}
    return httpx.get(
        f"{place.provider}/api/c2d/grant", headers=headers, trust_env=False, timeout=30
    ).status_code


def test_a_chain_whose_clock_says_nothing(place: Place) -> None:
    """Blocks from the future have no age, so not one of them may be missing."""
    place.permit()
    _rpc(place, "evm_increaseTime", 7000 * 365 * 86_400)
    _rpc(place, "evm_mine")
    place.permit()
    assert place.quote().status_code == 200
    place.line.is_cut = True
    try:
        place.revoke()
        place.assert_nothing_starts()
    finally:
        place.line.is_cut = False
    assert_heard(place)


def _rpc(place: Place, method: str, *params: Any) -> None:
    asked = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}
    answer = httpx.post(place.world.chain_process.url, json=asked, trust_env=False, timeout=30).json()
    assert "error" not in answer, answer
