"""Serves one bundle file over HTTP with ranges, for a teacher's network; nothing else is served."""

from __future__ import annotations

from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from c2d_box.errors import EnvironmentProblem, UsageError
from sandbox.bundle.transfer import load

CHUNK = 1 << 20
"""Bytes sent at a time: the file is larger than memory should hold."""


def serve_file(file: Path, listen: str, say: Callable[[str], None]) -> None:
    """Serve ``file`` until interrupted; ``listen`` is ``address:port``. Refuses a file that no one could
    load.
    """
    # A file without a sound manifest is refused here, not at each of the machines that load it.
    load.bundle_contents(str(file))
    with file_server(file, listen) as running:
        host, port = running.server_address[:2]
        say(f"serving {file} ({file.stat().st_size / 1e6:.0f} MB); others run:")
        say(f"  c2d-box bundle load http://{host!s}:{port}/{file.name}")
        try:
            running.serve_forever()
        except KeyboardInterrupt:
            say("stopped")


def file_server(file: Path, listen: str) -> ThreadingHTTPServer:
    """Return the server, bound and not yet running."""
    host, _, port = listen.rpartition(":")
    if not host or not port.isdigit():
        raise UsageError("C2D-USAGE", f"{listen} is not ADDRESS:PORT", "for example --listen 0.0.0.0:8099")

    # http.server makes one handler per connection, from a class; the file is bound to a class of its own.
    class Handler(_OneFile):
        path_served = file

    try:
        return ThreadingHTTPServer((host, int(port)), Handler)
    except OSError as cause:
        raise EnvironmentProblem(
            "C2D-PORT-TAKEN", f"{listen} cannot be listened on: {cause.strerror}.", "Choose another --listen."
        ) from cause


class _OneFile(BaseHTTPRequestHandler):
    """Answers GET and HEAD with the one file, whole or a range of it, whatever the path."""

    path_served: Path
    # Connections stay open between requests: a loader sends one for each range.
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        """Answer with the headers only."""
        self._answer_request(body=False)

    def do_GET(self) -> None:
        """Answer with the file or a range of it."""
        self._answer_request(body=True)

    def _answer_request(self, body: bool) -> None:
        """Answer by RFC 9110: 200 whole, 206 a range, 416 a range that the file does not have. The path is
        ignored, so no request can reach another file.
        """
        size = self.path_served.stat().st_size
        first, last = 0, size - 1
        asked = self.headers.get("Range", "")
        if asked:
            wanted = _parse_range(asked, size)
            if wanted is None:
                self.send_response(416)
                # The size tells the client which ranges there are.
                self.send_header("Content-Range", f"bytes */{size}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            first, last = wanted
        self.send_response(206 if asked else 200)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(last - first + 1))
        if asked:
            self.send_header("Content-Range", f"bytes {first}-{last}/{size}")
        self.end_headers()
        if body:
            self._send_bytes(first, last)

    def _send_bytes(self, first: int, last: int) -> None:
        """Send the bytes from ``first`` to ``last``, both included."""
        with self.path_served.open("rb") as stream:
            stream.seek(first)
            left = last - first + 1
            while left > 0 and (chunk := stream.read(min(CHUNK, left))):
                self.wfile.write(chunk)
                left -= len(chunk)

    def log_message(self, *_: Any) -> None:
        """Log nothing: a classroom makes thousands of requests."""


def _parse_range(text: str, size: int) -> tuple[int, int] | None:
    """Return the first and last byte of ``bytes=A-B``; None where that is no range of this file."""
    unit, _, span = text.partition("=")
    start, _, end = span.partition("-")
    # Neither several ranges nor a suffix (bytes=-N): no loader of ours sends them.
    if unit.strip() != "bytes" or not start.isdecimal() or (end and not end.isdecimal()):
        return None
    first, last = int(start), min(int(end), size - 1) if end else size - 1
    return (first, last) if first <= last else None
