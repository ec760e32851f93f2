"""Small HTTP servers that play the Provider, Kubo and S3: real sockets, scripted answers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


@dataclass
class ReceivedRequest:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class ScriptedAnswer:
    """``cut``: so many bytes of the body are sent, then the connection is closed."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None


Script = Callable[[ReceivedRequest], ScriptedAnswer]


@dataclass
class ScriptedServer:
    url: str
    asked: list[ReceivedRequest]


@pytest.fixture
def serve() -> Iterator[Callable[[Script], ScriptedServer]]:
    started: list[ThreadingHTTPServer] = []

    def start(script: Script) -> ScriptedServer:
        asked: list[ReceivedRequest] = []

        class Handler(BaseHTTPRequestHandler):
            def handle_any(self) -> None:
                request = ReceivedRequest(self.command, self.path, dict(self.headers), self._body())
                asked.append(request)
                answer = script(request)
                self.send_response(answer.status)
                for name, value in {"Content-Length": str(len(answer.body)), **answer.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(answer.body if answer.cut is None else answer.body[: answer.cut])
                self.close_connection = True

            do_GET = do_POST = do_PUT = handle_any

            def _body(self) -> bytes:
                if self.headers.get("Transfer-Encoding") != "chunked":
                    return self.rfile.read(int(self.headers.get("Content-Length", 0)))
                chunks = []
                while size := int(self.rfile.readline() or b"0", 16):
                    chunks.append(self.rfile.read(size))
                    self.rfile.readline()
                self.rfile.readline()
                return b"".join(chunks)

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        server.handle_error = lambda *_: None  # type: ignore[method-assign]
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        started.append(server)
        return ScriptedServer(f"http://127.0.0.1:{server.server_port}", asked)

    yield start
    for server in started:
        server.shutdown()
        server.server_close()
