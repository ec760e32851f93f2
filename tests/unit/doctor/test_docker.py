"""Each of Docker's findings, provoked: engines of a socket of the test that answer as real ones do."""

from __future__ import annotations

import json
import os
import shutil
import socketserver
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from sandbox import docker_engine
from sandbox.clusters.k3d import tool as k3d
from sandbox.clusters.k3d import trust
from sandbox.doctor import docker
from sandbox.doctor.finding import Finding

Engine = Callable[..., list[Finding]]


@pytest.fixture
def examined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """Findings beside an engine of that version, memory and so on."""
    answers: dict[str, Any] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.rpartition("/")[2].partition("?")[0]
            body = b"OK" if name == "_ping" else json.dumps(answers[name]).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(body)

        do_HEAD = do_GET

        def log_message(self, *_: Any) -> None: ...

    class Server(socketserver.ThreadingUnixStreamServer):
        daemon_threads = True

        def get_request(self) -> tuple[Any, Any]:
            return super().get_request()[0], ("engine", 0)

    path = tmp_path / "docker.sock"
    server = Server(str(path), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    monkeypatch.setenv("DOCKER_HOST", f"unix://{path}")

    def examine(
        version: str = "28.0.1",
        memory: int = 8 << 30,
        cgroup: str = "2",
        networks: tuple[Any, ...] = (),
        system: str = "Debian",
        root: str = "",
    ) -> list[Finding]:
        answers["version"] = {"Version": version, "ApiVersion": "1.41"}
        answers["info"] = {"MemTotal": memory, "CgroupVersion": cgroup, "OperatingSystem": system}
        answers["info"]["DockerRootDir"] = root
        answers["networks"] = list(networks)
        return docker.check_docker(wanted=True, cache=Path("/opt/cache"))

    yield examine
    server.shutdown()
    thread.join()
    server.server_close()


def levels(findings: list[Finding]) -> dict[str, str]:
    return {finding.id: finding.level for finding in findings}


def test_an_engine_that_will_do(examined: Engine) -> None:
    assert set(levels(examined()).values()) == {"ok"}


@pytest.mark.parametrize(
    ("engine_of", "id", "level"),
    [
        ({"version": "19.03.15"}, "C2D-DOC-DOCKER-OLD", "problem"),
        ({"memory": 2 << 30}, "C2D-DOC-DOCKER-MEMORY", "problem"),
        ({"cgroup": "1"}, "C2D-DOC-DOCKER-CGROUP", "warning"),
        ({"root": "/"}, "C2D-DOC-DOCKER-DISK", "problem"),
        ({"system": "Docker Desktop"}, "C2D-DOC-DOCKER-DESKTOP", "warning"),
    ],
)
def test_an_engine_that_will_not_do(
    examined: Engine, engine_of: dict[str, Any], id: str, level: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(1, 1, 0))
    found = [finding for finding in examined(**engine_of) if finding.level != "ok"]
    assert [(finding.id, finding.level) for finding in found] == [(id, level)]
    assert found[0].fix and found[0].evidence


def test_a_box_whose_home_is_gone(examined: Engine, tmp_path: Path) -> None:
    (tmp_path / "there" / "cluster").mkdir(parents=True)
    networks = tuple(
        {"Name": name, "Id": name, "Labels": {docker_engine.HOME_LABEL: str(tmp_path / name)}}
        for name in ("there", "gone")
    )
    found = [f for f in examined(networks=networks) if f.id == "C2D-DOC-DOCKER-LEFTOVERS"]
    assert len(found) == 1 and found[0].evidence.startswith("gone ")


def test_a_k3d_that_nobody_has_seen_hold(
    examined: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("C2D_BOX_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(k3d, "installed", lambda: Path("/usr/bin/k3d"))
    assert levels(examined())["C2D-DOC-K3D"] == "warning"
    trust.mark_verified()
    assert levels(examined())["C2D-DOC-K3D"] == "ok"


def test_no_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nobody.sock")
    assert levels(docker.check_docker(wanted=True)) == {"C2D-DOC-DOCKER": "problem"}
    assert levels(docker.check_docker(wanted=False)) == {"C2D-DOC-DOCKER": "ok"}
    assert docker.remove_homeless() == []


def test_a_socket_one_may_not_use(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(address: str) -> None:
        raise docker_engine._unreachable_error(PermissionError(13, "Permission denied"))

    monkeypatch.setattr(docker_engine, "_require_listener", refused)
    assert levels(docker.check_docker(wanted=True)) == {"C2D-DOC-DOCKER-PERMISSION": "problem"}


def test_windows_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    assert docker.check_windows(Path("/mnt/c/box")).level == "ok"
    kernel = os.uname()
    values = [*kernel[:2], "5.15.90.1-microsoft-standard-WSL2", *kernel[3:]]
    monkeypatch.setattr(os, "uname", lambda: os.uname_result(values))
    assert docker.check_windows(Path("/mnt/c/box")).level == "problem"
    assert docker.check_windows(Path("/home/me/box")).level == "ok"
