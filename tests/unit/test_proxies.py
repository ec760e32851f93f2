"""A proxy of the environment breaks nothing on this machine: it is for the way out alone."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from c2d_box.kubernetes.sync_client import KubeApi
from c2d_box.proxies import environment_without_proxy, may_use_proxy
from sandbox.box import Box
from sandbox.clusters.existing.doors import PortForward, PortForwards
from sandbox.home import BoxHome
from sandbox.install import baseline, helm
from sandbox.settings import BoxSettings

DEAD = dict.fromkeys(
    ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"),
    "http://127.0.0.1:9",
)


@pytest.mark.parametrize(
    ("url", "out"),
    [
        ("http://127.0.0.1:8545", False),
        ("http://localhost:8030", False),
        ("http://[::1]:9000", False),
        ("https://10.100.255.2:6443", False),
        ("http://192.168.1.4", False),
        ("http://169.254.169.254", False),
        ("http://[fd00::1]", False),
        ("http://provider.c2d.svc:8030", False),
        ("http://kubernetes", False),
        ("https://rpc.example.org/key", True),
        ("https://1.1.1.1", True),
    ],
)
def test_only_the_way_out_is_proxied(url: str, out: bool) -> None:
    assert may_use_proxy(url) is out


def test_children_get_the_clusters_address_beside_what_the_user_excepted() -> None:
    found = environment_without_proxy("https://10.100.255.2:6443", base={"NO_PROXY": "intra.example, x"})
    for name in ("NO_PROXY", "no_proxy"):
        assert found[name].split(",") == [
            "intra.example",
            "x",
            "localhost",
            "127.0.0.1",
            "::1",
            "10.100.255.2",
        ]


class Answering(BaseHTTPRequestHandler):
    """Says its number to JSON-RPC, an empty list to S3, a token and its registry, parts of a file, and an
    address file to others.
    """

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._answer(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": hex(8996)}))

    def do_GET(self) -> None:
        if self.path == "/v2/" and self.headers["Authorization"] != "Bearer t0ken":
            realm = f"http://{self.headers['Host']}/token"
            return self._answer("{}", 401, {"WWW-Authenticate": f'Bearer realm="{realm}",service="tests"'})
        if self.path.startswith("/token"):
            return self._answer('{"token": "t0ken"}')
        if "Range" in self.headers:
            return self._answer("P", 206, {"Content-Range": "bytes 0-0/9"})
        return self._answer("<a/>" if "list-type" in self.path else "{}")

    def _answer(self, text: str, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    made = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{made.server_address[1]}"
    made.shutdown()
    made.server_close()


CLIENTS = {
    "chain": "from c2d_box.chain import client; print(client.connected(URL, 5, {}).eth.chain_id)",
    "address file": "from c2d_box.chain import addresses; print(addresses._read(URL))",
    "sdk": "from c2d_box.client.services.http_errors import client_for\n"
    "print(client_for(URL, 5).get('/').status_code)",
    "bundle": "from sandbox.bundle.transfer import load; print(load._RemoteFile(URL)._size)",
    "registry and its token": "from sandbox.clusters.existing.registry import ImageRegistry\n"
    "ImageRegistry(URL).require_access()",
    "object store": "from sandbox.objectstore import ObjectStore\n"
    "print(ObjectStore(URL, 'a', 'b').client.send_request('GET').status_code)",
}


@pytest.mark.parametrize("name", CLIENTS)
def test_a_client_reaches_this_machine_beside_a_dead_proxy(name: str, server: str) -> None:
    environment = {key: value for key, value in os.environ.items() if key.lower() != "no_proxy"}
    done = subprocess.run(
        [sys.executable, "-c", f"URL = {server!r}\n{CLIENTS[name]}"],
        env={**environment, **DEAD},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-800:]


SERVER = "https://10.214.255.2:6443"
"""An API server, behind which nothing is asked here: the children only write down what they were given."""


class Child:
    """A program on disk that writes down the hosts it would reach without a proxy."""

    def __init__(self, program: Path) -> None:
        self.program = program
        self._said = program.with_suffix(".said")
        draft, said = (shlex.quote(str(path)) for path in (program.with_suffix(".draft"), self._said))
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text(
            f'#!/bin/sh\nprintf \'%s\\n\' "$NO_PROXY" "$no_proxy" > {draft}\nmv {draft} {said}\n'
        )
        program.chmod(0o755)

    def said(self, seconds: float = 0) -> list[list[str]]:
        """What stood in NO_PROXY, and in no_proxy; waited for where the child runs on its own."""
        end = time.monotonic() + seconds
        while not self._said.exists() and time.monotonic() < end:
            time.sleep(0.02)
        return [line.split(",") for line in self._said.read_text().splitlines()]


@pytest.fixture
def intranet(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**DEAD, "NO_PROXY": "intra.example", "no_proxy": "intra.example"}.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def box(tmp_path: Path) -> Box:
    made = Box(BoxHome(tmp_path / "home"), BoxSettings())
    made.home.path.mkdir()
    cluster = {"name": "box", "cluster": {"server": SERVER}}
    context = {"name": "box", "context": {"cluster": "box", "user": "box"}}
    kubeconfig = {"current-context": "box", "clusters": [cluster], "contexts": [context]}
    made.home.kubeconfig.write_text(json.dumps({**kubeconfig, "users": [{"name": "box", "user": {}}]}))
    return made


EXCEPTED = [["intra.example", "localhost", "127.0.0.1", "::1", "10.214.255.2"]] * 2


@pytest.mark.usefixtures("intranet")
def test_helm_reaches_the_cluster_beside_a_proxy(box: Box, tmp_path: Path) -> None:
    child = Child(tmp_path / "helm")
    empty = httpx.MockTransport(lambda _: httpx.Response(200, json={"items": []}))
    with KubeApi(httpx.Client(base_url=SERVER, transport=empty)) as kube:
        helm.install_chart(box, kube, child.program, {})
    assert child.said() == EXCEPTED


@pytest.mark.usefixtures("intranet")
def test_the_kubectl_command_reaches_the_cluster_beside_a_proxy(box: Box, tmp_path: Path) -> None:
    child = Child(tmp_path / "bin" / "kubectl")
    search = f"{child.program.parent}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(
        [sys.executable, "-m", "sandbox.cli", "--home", str(box.home.path), "kubectl", "get", "nodes"],
        env={**os.environ, "PATH": search, "C2D_BOX_CACHE": str(tmp_path / "no-bundle")},
        check=True,
        timeout=60,
    )
    assert child.said() == EXCEPTED


@pytest.mark.usefixtures("intranet")
def test_forwards_reach_the_cluster_beside_a_proxy(tmp_path: Path) -> None:
    child, doors = Child(tmp_path / "kubectl"), PortForwards(tmp_path)
    try:
        doors.open_forwards([str(child.program)], SERVER, "c2d", [PortForward(18030, "provider", 8030)])
        assert child.said(seconds=60) == EXCEPTED
    finally:
        doors.close_forwards()


@pytest.mark.usefixtures("intranet")
def test_a_reset_reaches_the_cluster_beside_a_proxy(
    box: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    child = Child(tmp_path / "kubectl")
    monkeypatch.setattr(baseline, "program", lambda: child.program)
    baseline._run_psql(box, SERVER, "TRUNCATE jobs")
    assert child.said() == EXCEPTED
