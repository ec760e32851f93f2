"""Files are published, sown, remembered and fetched in as much memory as a small one takes."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

SIZE = 300_000_000
ROOM = 100_000_000
"""Address space above what the interpreter has once everything is imported: a third of the file."""
HEAD = """
import re, resource, sys
from pathlib import Path
from sandbox.box import Box
from sandbox.settings import BoxPorts, BoxSettings
from sandbox.home import BoxHome
from sandbox.run_memory import Known, digest, loop_memory
from sandbox.seeding import apply
from sandbox.seeding.declaration import Declaration
from sandbox.verbs.publishing import assets
from c2d_box.client.consumer import Consumer
from c2d_box.client.services.provider import Provider
from c2d_box.chain import accounts
from types import SimpleNamespace

file, port = Path(sys.argv[1]), int(sys.argv[2])
box = Box(BoxHome(file.parent / "home"), BoxSettings(ports=BoxPorts(s3=port)))
signer = accounts.from_mnemonic(assets.signer.__globals__["MNEMONIC"], 3)
used = int(re.search(r"VmSize:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024
resource.setrlimit(resource.RLIMIT_AS, (used + int(sys.argv[3]), used + int(sys.argv[3])))
"""
PUBLISH = 'print(assets.store_file(box, "publisher", file)["s3Access"]["objectKey"])'
REMEMBER = """
loop_memory(box.home).put(file, "publisher", Known("did:op:" + "a" * 64, digest(file)))
loop_memory(box.home).put_script(file, "consumer", Known("did:op:" + "b" * 64, digest(file)))
"""
SOW = """
declared = Declaration.model_validate({"assets": {"cells": {"type": "dataset", "file": str(file)}}})
print(apply._content(box, declared, declared.assets["cells"]))
"""
FETCH = """
class Job(Consumer):
    def results(self, job):
        return [{"filename": "big", "type": "output"}]

provider = Provider(f"http://127.0.0.1:{port}", 8996)
job = Job(SimpleNamespace(provider=provider), signer)
try:
    job.read_result("ab" * 16, 0)
    raise SystemExit("it was read")
except Exception as error:
    assert "C2D-RESULT-LARGE" in str(error), error
print(job.result_sha256("ab" * 16, 0))
"""


class Sink(BaseHTTPRequestHandler):
    """Takes every object, and hands a large result out, as S3 and the Provider do."""

    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        left = int(self.headers["Content-Length"] or 0)
        while left:
            left -= len(self.rfile.read(min(left, 1 << 20)))
        self._answer(b"")

    def do_PATCH(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"] or 0))
        self._answer(b"", 201)

    def do_GET(self) -> None:
        if "computeResult" in self.path:
            self.send_response(200)
            self.send_header("Content-Length", str(SIZE))
            self.end_headers()
            try:
                for _ in range(SIZE // 1_000_000):
                    self.wfile.write(bytes(1_000_000))
            except OSError:
                self.close_connection = True
        elif "nonce" in self.path:
            self._answer(b'{"nonce": "1"}')
        else:
            routes = b'{"nonce": ["GET", "/nonce"], "computeResult": ["GET", "/computeResult"]}'
            self._answer(b'{"providerAddresses": {"8996": "0x"}, "serviceEndpoints": %s}' % routes)

    def _answer(self, body: bytes, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: Any) -> None:
        return


@pytest.fixture(scope="module")
def sink() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Sink) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield int(server.server_address[1])
        server.shutdown()


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sparse file: nothing of it stands on the disk."""
    path = tmp_path_factory.mktemp("large") / "large.csv"
    with path.open("wb") as file:
        file.truncate(SIZE)
    return path


def run(code: str, large: Path, port: int) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-c", HEAD + code, str(large), str(port), str(ROOM)]
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=300)


@pytest.mark.parametrize(
    "code", [PUBLISH, REMEMBER, SOW, FETCH], ids=["publish", "remember", "sow", "fetch a result"]
)
def test_a_large_file_takes_no_more_memory_than_a_small_one(large: Path, sink: int, code: str) -> None:
    done = run(code, large, sink)
    assert done.returncode == 0, done.stderr[-2000:]
    copies = [path for path in large.parent.rglob("*") if path.is_file() and path != large]
    assert sum(path.stat().st_size for path in copies) < 10_000


def test_the_room_would_not_take_the_file_as_a_whole(large: Path, sink: int) -> None:
    done = run("file.read_bytes()", large, sink)
    assert done.returncode != 0 and "MemoryError" in done.stderr
