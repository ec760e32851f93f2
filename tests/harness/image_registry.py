"""An image registry in memory: the part of the distribution protocol that pushing and pulling use.

Every upload is checked against the digest it claims, as a real registry does. With ``token`` set the registry
asks for a bearer token, obtained with the user's credentials, as public registries do.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

USER = "Basic bWU6c2VjcmV0"
"""The credentials ``me:secret``."""


@dataclass
class RegistryContent:
    """The registry's content and its settings, which the test reads and changes while it runs."""

    port: int = 0
    token: str = ""
    blobs: dict[str, bytes] = field(default_factory=dict)
    manifests: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    """``repository:reference`` → media type and bytes."""
    received: int = 0
    """Bytes of blobs received."""
    token_answer: bytes = b""
    """Body that is answered instead of the token document, if set."""


@contextmanager
def run_registry(address: str = "127.0.0.1", token: str = "") -> Iterator[RegistryContent]:
    shelf = RegistryContent(token=token)

    class Handler(_RegistryHandler):
        kept = shelf

    server = ThreadingHTTPServer((address, 0), Handler)
    server.daemon_threads = True
    shelf.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield shelf
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _RegistryHandler(BaseHTTPRequestHandler):
    """The registry's HTTP handler; ``kept`` is the registry's content."""

    kept: RegistryContent
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None: ...

    def _send_answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _is_allowed(self) -> bool:
        if not self.kept.token or self.headers.get("authorization") == f"Bearer {self.kept.token}":
            return True
        self._read_body()
        realm = f"http://127.0.0.1:{self.kept.port}/token"
        self._send_answer(401, www_authenticate=f'Bearer realm="{realm}",service="tests"')
        return False

    def _read_body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("content-length", 0)))

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path == "/token":
            right = self.headers.get("authorization") == USER
            answer = self.kept.token_answer or json.dumps({"token": self.kept.token}).encode()
            return self._send_answer(200 if right else 401, answer)
        if not self._is_allowed():
            return None
        if path == "/v2/":
            return self._send_answer(200, b"{}")
        if match := re.fullmatch(r"/v2/(.+)/manifests/(.+)", path):
            found = self.kept.manifests.get(f"{match[1]}:{match[2]}")
            if found is None:
                return self._send_answer(404)
            digest = "sha256:" + hashlib.sha256(found[1]).hexdigest()
            return self._send_answer(200, found[1], content_type=found[0], docker_content_digest=digest)
        blob = self.kept.blobs.get(path.rpartition("/")[2])
        if blob is None:
            return self._send_answer(404)
        return self._send_answer(200, blob, content_type="application/octet-stream")

    do_HEAD = do_GET

    def do_POST(self) -> None:
        self._read_body()
        if self._is_allowed():
            self._send_answer(202, location=f"{urlsplit(self.path).path}1?state=x")

    def do_PUT(self) -> None:
        if not self._is_allowed():
            return None
        body, parts = self._read_body(), urlsplit(self.path)
        digest = "sha256:" + hashlib.sha256(body).hexdigest()
        if match := re.fullmatch(r"/v2/(.+)/manifests/(.+)", parts.path):
            if match[2].startswith("sha256:") and match[2] != digest:
                return self._send_answer(400, b"DIGEST_INVALID")
            self.kept.manifests[f"{match[1]}:{match[2]}"] = (self.headers["content-type"], body)
            return self._send_answer(201)
        if parse_qs(parts.query).get("digest") != [digest]:
            return self._send_answer(400, b"DIGEST_INVALID")
        self.kept.blobs[digest] = body
        self.kept.received += len(body)
        return self._send_answer(201)
