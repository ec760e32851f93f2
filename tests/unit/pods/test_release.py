"""Configuration releases the warden: the control first, then the marker, both over a real engine's port."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from c2d_box.pods import alive
from c2d_box.pods.configuration import __main__ as configuration
from c2d_box.pods.warden import __main__ as warden
from c2d_box.workflow import names


class Engine(BaseHTTPRequestHandler):
    """Records every report and names the algorithm's pod."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        body = json.dumps({"algorithm": "this pod"}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def engine() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Engine) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def data(tmp_path: Path, engine: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    for folder in (names.INPUTS, names.TRANSFORMATIONS, names.DDOS, names.CONTROL, names.ADMIN_LOGS):
        (tmp_path / folder).mkdir()
    for name in ("CONFIGURE_LOG", "STAGED_MARKER", "ALIVE_FILE"):
        monkeypatch.setattr(names, name, getattr(names, name).replace(names.DATA, str(tmp_path), 1))
    for name in ("JOB_FILE", "TOKEN_FILE", "GRANTS_FILE"):
        monkeypatch.setattr(names, name, str(tmp_path / name))
    monkeypatch.setattr(names, "DATA", str(tmp_path))
    job = {"inputs": [], "algorithm": {"rawcode": "print('a program')"}}
    (tmp_path / "JOB_FILE").write_text(json.dumps(job))
    (tmp_path / "TOKEN_FILE").write_text("token")
    monkeypatch.setenv(names.ENV_ENGINE, f"http://{engine}")
    monkeypatch.setenv(names.ENV_JOB, "a" * 32)
    monkeypatch.setenv(names.ENV_DEADLINE, "10")
    return tmp_path


def test_what_answered_is_written_down_and_must_be_silent_for_the_warden(
    data: Path, engine: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert configuration.main() == 0
    control, marker = Path(names.ALIVE_FILE), Path(names.STAGED_MARKER)
    found = alive.read_alive(control)
    assert found is not None and found.addresses == (engine,)
    assert control.stat().st_mtime_ns <= marker.stat().st_mtime_ns, (
        "the warden reads it once the marker is there"
    )
    capsys.readouterr()
    dead, ahead = ("[fe80::1%nosuchlink]:80",), data / "ahead"
    code = warden.prove_isolation(dead, 0.2, time.monotonic() + 5, marker, ahead, "this pod")
    assert code == warden.OPEN and not ahead.exists()
    assert json.loads(capsys.readouterr().out)["alive"] == [engine]
