"""A source of files that costs next to nothing: one thread per connection, the kernel sends the file.

As a process of its own: ``python -m tests.bench.source FILE`` prints its port and serves until it is ended.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def serve_file(path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        print(listener.getsockname()[1], flush=True)
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=_answer_request, args=(connection, path), daemon=True).start()


def _answer_request(connection: socket.socket, path: Path) -> None:
    with connection, path.open("rb") as file:
        request = connection.recv(65536)
        size = path.stat().st_size
        head = ("HTTP/1.1 200 OK", f"content-length: {size}", "content-type: text/csv", "connection: close")
        connection.sendall(("\r\n".join(head) + "\r\n\r\n").encode())
        sent = size if request.startswith(b"HEAD") else 0
        try:
            while sent < size:
                sent += os.sendfile(connection.fileno(), file.fileno(), sent, size - sent)
        except OSError:
            return


@contextmanager
def source_of(path: Path) -> Iterator[str]:
    """Serve ``path`` from a process of its own; yield its URL."""
    command = [sys.executable, "-m", "tests.bench.source", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}/{path.name}"
        finally:
            process.kill()


if __name__ == "__main__":
    serve_file(Path(sys.argv[1]))
