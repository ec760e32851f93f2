"""The Provider as a process, killed by the system between any two steps of ``compute start``.

Its steps are what it asks of others: cache, chain and operator-service stand behind relays that count its
requests and end it right before the n-th is passed on, or right after its answer has come. What it does in
between (checking, taking the nonce) lies between two of these points. Then its client does what clients do:
sends the same request again.
"""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from tests.conftest import sample
from tests.unit.provider.test_compute_flow import finish_all, ordered, permit, publish_pair, start_body
from tests.worlds.local import World, spawn
from tests.worlds.outside import free_port

_PASSED_ON = {"content-type", "etag", "if-none-match", "accept"}


class Relays:
    """One relay for each thing the Provider depends on, and the point at which it dies."""

    def __init__(self) -> None:
        self.victim: subprocess.Popen[bytes] | None = None
        self.count, self.at, self.after = 0, 0, False
        self._lock = threading.Lock()
        self._servers: list[ThreadingHTTPServer] = []

    def before(self, target: str) -> str:
        relays = self

        class Handler(BaseHTTPRequestHandler):
            def _relay(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if self.path.endswith("/events"):
                    self.send_error(404)
                    return
                fatal = relays.reached()
                if fatal and not relays.after:
                    relays.kill()
                    return
                answer = self._asked(body)
                if fatal:
                    relays.kill()
                    return
                self.send_response(answer.status_code)
                for name in answer.headers.keys() & _PASSED_ON:
                    self.send_header(name, answer.headers[name])
                self.send_header("Content-Length", str(len(answer.content)))
                self.end_headers()
                self.wfile.write(answer.content)

            do_GET = do_POST = do_PUT = do_DELETE = _relay

            def _asked(self, body: bytes) -> httpx.Response:
                kept = {
                    name: value
                    for name, value in self.headers.items()
                    if name.lower() in _PASSED_ON or name.lower().startswith("x-c2d-")
                }
                url = target + self.path
                return httpx.request(
                    self.command, url, content=body, headers=kept, timeout=30, trust_env=False
                )

            def log_message(self, *_arguments: Any) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        self._servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_address[1]}"

    def arm(self, at: int, after: bool = False) -> None:
        self.count, self.at, self.after = 0, at, after

    def reached(self) -> bool:
        with self._lock:
            self.count += 1
            return self.count == self.at

    def kill(self) -> None:
        assert self.victim is not None
        self.victim.kill()
        self.victim.wait()

    def close(self) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()


class Mortal:
    """A Provider of its own in the world: it can be killed and started again, and keeps its database."""

    def __init__(self, world: World) -> None:
        self.relays = Relays()
        self._world = world
        plain = world.settings["provider"]
        self.url = f"http://127.0.0.1:{free_port()}"
        self._settings = {
            **plain,
            "listen": {"host": "127.0.0.1", "port": int(self.url.rpartition(":")[2])},
            "publicUrl": self.url,
            "database": str(world.folder / "mortal.sqlite"),
            "cacheUrl": self.relays.before(world.cache_url),
            "operatorServiceUrl": self.relays.before(world.operator_url),
            "chain": {**plain["chain"], "rpcUrl": self.relays.before(world.chain_process.url)},
        }
        self.boot()

    def boot(self) -> None:
        self.relays.arm(0)
        if self.relays.victim is None or self.relays.victim.poll() is not None:
            self.relays.victim = spawn(self._world, "provider", self._settings)
            self._world.processes.remove(self.relays.victim)

    def start(self, body: Any) -> httpx.Response | None:
        """None where the connection broke."""
        try:
            return httpx.post(f"{self.url}/api/services/compute", json=body, timeout=60, trust_env=False)
        except httpx.TransportError:
            return None

    def close(self) -> None:
        self.relays.kill()
        self.relays.close()


@pytest.fixture(scope="module")
def mortal(world: World) -> Iterator[Mortal]:
    made = Mortal(world)
    yield made
    made.close()


@pytest.fixture(scope="module")
def pair(world: World) -> Any:
    dataset, algorithm = publish_pair(world)
    permit(world, dataset, algorithm)
    return dataset, algorithm, ordered(world, dataset, algorithm)


class Signing:
    """What ``start_body`` needs of a world, with the nonces of the other Provider."""

    def __init__(self, world: World, url: str) -> None:
        self._world, self._url, self.account = world, url, world.account

    def nonce(self, signer: Any) -> str:
        query = {"userAddress": signer.address}
        stored = httpx.get(f"{self._url}/api/services/nonce", params=query, trust_env=False)
        return str(int(float(stored.json()["nonce"])) + 1)


def test_killed_between_any_two_steps_it_makes_one_job_and_loses_no_order(
    world: World, mortal: Mortal, pair: Any, seed: str, pytestconfig: pytest.Config
) -> None:
    signing = Signing(world, mortal.url)
    honest = start_body(signing, *pair)
    mortal.relays.arm(0)
    whole = mortal.start(honest)
    steps = mortal.relays.count
    assert whole is not None and whole.status_code == 200 and steps >= 6
    finish_all(world)

    points = [(at, after) for at in range(1, steps + 1) for after in (False, True)]
    last = points[-2:]  # around the call that makes the job: never left to chance
    chosen = sample(points[:-2], 2, seed, bool(pytestconfig.getoption("--full")))
    for at, after in [*chosen, *last]:
        request, before = start_body(signing, *pair), len(world.operator.jobs)
        mortal.relays.arm(at, after)
        broken = mortal.start(request)
        assert broken is None, f"it answered {broken.status_code} instead of dying at {at}"
        made = len(world.operator.jobs) - before
        assert made == (1 if (at, after) == points[-1] else 0), f"{made} jobs after dying at {at}"
        mortal.boot()
        again = mortal.start(request)
        assert again is not None and again.status_code == 200, f"at {at}: {again and again.text}"
        assert len(world.operator.jobs) == before + 1
        once_more = mortal.start(request)
        assert once_more is not None and once_more.json()[0]["jobId"] == again.json()[0]["jobId"]
        assert len(world.operator.jobs) == before + 1
        finish_all(world)
