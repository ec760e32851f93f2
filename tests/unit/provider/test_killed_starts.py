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

from tests.conftest import sample_cells
from tests.harness.fake_services import free_port
from tests.harness.local_stack import LocalStack, spawn_service
from tests.unit.provider.test_compute_flow import finish_all, ordered, permit, publish_pair, start_body

NEVER = 0
MAKES_THE_JOB = "POST /api/v1/operator/compute"
_PASSED_ON = {"content-type", "etag", "if-none-match", "accept"}


class Relays:
    """One relay for each thing the Provider depends on, and the point at which it dies."""

    def __init__(self) -> None:
        self.victim: subprocess.Popen[bytes] | None = None
        self.count, self.after = 0, False
        self.at: int | str = NEVER
        self.client = httpx.Client(timeout=60, trust_env=False)
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
                fatal = relays.reached(f"{self.command} {self.path}")
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
                return relays.client.request(self.command, url, content=body, headers=kept)

            def log_message(self, *_arguments: Any) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        self._servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_address[1]}"

    def arm(self, at: int | str, after: bool = False) -> None:
        """The point: the n-th request from now, or the one that is spelt like this."""
        self.count, self.at, self.after = 0, at, after

    def reached(self, request: str) -> bool:
        with self._lock:
            self.count += 1
            return self.at in (self.count, request)

    def kill(self) -> None:
        assert self.victim is not None
        self.victim.kill()
        self.victim.wait()

    def close(self) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()
        self.client.close()


class CrashingCluster:
    """A Provider of its own in the world: it can be killed and started again, and keeps its database."""

    def __init__(self, world: LocalStack) -> None:
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
        """A process that has seen nothing yet: what it keeps in memory would be steps it does not take."""
        self.relays.arm(NEVER)
        if self.relays.victim is not None:
            self.relays.kill()
        self.relays.victim = spawn_service(self._world, "provider", self._settings)
        self._world.processes.remove(self.relays.victim)

    def start(self, body: Any) -> httpx.Response | None:
        """None where the connection broke."""
        try:
            return httpx.post(f"{self.url}/api/services/compute", json=body, timeout=180, trust_env=False)
        except httpx.TransportError:
            return None

    def close(self) -> None:
        self.relays.kill()
        self.relays.close()


@pytest.fixture(scope="module")
def mortal(world: LocalStack) -> Iterator[CrashingCluster]:
    made = CrashingCluster(world)
    yield made
    made.close()


@pytest.fixture(scope="module")
def pair(world: LocalStack) -> Any:
    dataset, algorithm = publish_pair(world)
    permit(world, dataset, algorithm)
    return dataset, algorithm, ordered(world, dataset, algorithm)


class Signing:
    """What ``start_body`` needs of a world, with the nonces of the other Provider."""

    def __init__(self, world: LocalStack, url: str) -> None:
        self._world, self._url, self.account = world, url, world.account

    def nonce(self, signer: Any) -> str:
        query = {"userAddress": signer.address}
        stored = httpx.get(f"{self._url}/api/services/nonce", params=query, trust_env=False)
        return str(int(float(stored.json()["nonce"])) + 1)


def test_killed_between_any_two_steps_it_makes_one_job_and_loses_no_order(
    world: LocalStack, mortal: CrashingCluster, pair: Any, seed: str, pytestconfig: pytest.Config
) -> None:
    signing = Signing(world, mortal.url)
    honest = start_body(signing, *pair)
    mortal.relays.arm(NEVER)
    whole = mortal.start(honest)
    steps = mortal.relays.count
    assert whole is not None and whole.status_code == 200 and steps >= 6
    finish_all(world)

    points: list[tuple[int | str, bool]] = [(at, after) for at in range(1, steps) for after in (False, True)]
    chosen = sample_cells(points, 1, seed, bool(pytestconfig.getoption("--full")))
    for at, after in [*chosen, (MAKES_THE_JOB, False), (MAKES_THE_JOB, True)]:
        mortal.boot()
        request, before = start_body(signing, *pair), len(world.operator.jobs)
        mortal.relays.arm(at, after)
        broken = mortal.start(request)
        made = len(world.operator.jobs) - before
        if at == MAKES_THE_JOB:
            assert broken is None and made == int(after), f"{made} jobs, {broken}"
        elif broken is not None:  # what it asks in the background came before: it took fewer steps this time
            assert broken.status_code == 200 and made == 1
        mortal.boot()
        again = mortal.start(request)
        assert again is not None and again.status_code == 200, f"at {at}: {again and again.text}"
        assert len(world.operator.jobs) == before + 1
        once_more = mortal.start(request)
        assert once_more is not None and once_more.json()[0]["jobId"] == again.json()[0]["jobId"]
        assert len(world.operator.jobs) == before + 1
        finish_all(world)
