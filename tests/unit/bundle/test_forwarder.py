"""The real forwarder program, where the bundle has been built."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from c2d_box.errors import C2DError
from sandbox.bundle import Bundle


@pytest.fixture(scope="module")
def program() -> Path:
    try:
        return Bundle.open_cached(["forwarder"]).binary("forwarder")
    except C2DError as problem:
        pytest.skip(f"the bundle is not built: {problem.code}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Echo:
    """Reads until the client has finished, then answers with its name and what it read."""

    def __init__(self, name: bytes) -> None:
        self.name = name
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.accepted = threading.Semaphore(0)
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self) -> None:
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            self.accepted.release()
            threading.Thread(target=self.answer, args=(connection,), daemon=True).start()

    def answer(self, connection: socket.socket) -> None:
        with connection:
            heard = b""
            while chunk := connection.recv(65536):
                heard += chunk
            connection.sendall(self.name + heard)

    def close(self) -> None:
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


@pytest.fixture
def echo() -> Iterator[Echo]:
    server = Echo(b"one:")
    yield server
    server.close()


class Forwarder:
    def __init__(self, program: Path, folder: Path) -> None:
        self.program = program
        self.file = folder / "forward.json"
        self.process: subprocess.Popen[bytes] | None = None

    def rules(self, **targets: int) -> None:
        entries = [
            {"listen": f"127.0.0.1:{name[1:]}", "target": f"127.0.0.1:{port}"}
            for name, port in targets.items()
        ]
        self.file.write_text(json.dumps(entries))

    def start(self) -> None:
        self.process = subprocess.Popen([self.program, self.file], stderr=subprocess.DEVNULL)

    def reload(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGHUP)

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(5)


@pytest.fixture
def forwarder(program: Path, tmp_path: Path) -> Iterator[Forwarder]:
    forwarder = Forwarder(program, tmp_path)
    yield forwarder
    forwarder.stop()


def connected(port: int) -> socket.socket:
    deadline = time.monotonic() + 5
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), 5)
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def asked(port: int, text: bytes) -> bytes:
    """Send, half-close, read to the end."""
    with connected(port) as connection:
        connection.sendall(text)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
        return answer


def test_a_half_close_is_passed_on_and_the_answer_comes_back(forwarder: Forwarder, echo: Echo) -> None:
    port = free_port()
    forwarder.rules(**{f"p{port}": echo.port})
    forwarder.start()
    assert asked(port, b"hello") == b"one:hello"
    large = b"x" * 3_000_000
    assert asked(port, large) == b"one:" + large


def test_a_reload_changes_targets_and_keeps_connections(forwarder: Forwarder, echo: Echo) -> None:
    kept, gone, other = free_port(), free_port(), Echo(b"two:")
    forwarder.rules(**{f"p{kept}": echo.port, f"p{gone}": echo.port})
    forwarder.start()
    assert asked(gone, b"") == b"one:"
    assert echo.accepted.acquire(timeout=5)
    with connected(kept) as before:
        assert echo.accepted.acquire(timeout=5)  # until then it belongs to nobody
        forwarder.rules(**{f"p{kept}": other.port})
        forwarder.reload()
        deadline = time.monotonic() + 5
        while asked(kept, b"") != b"two:":
            assert time.monotonic() < deadline
        before.sendall(b"still here")
        before.shutdown(socket.SHUT_WR)
        assert before.recv(100) == b"one:still here"
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", gone), 1)
    other.close()


def test_a_broken_file_on_reload_leaves_the_ports_alone(forwarder: Forwarder, echo: Echo) -> None:
    port = free_port()
    forwarder.rules(**{f"p{port}": echo.port})
    forwarder.start()
    assert asked(port, b"a") == b"one:a"
    forwarder.file.write_text("{broken")
    forwarder.reload()
    time.sleep(0.1)
    assert asked(port, b"b") == b"one:b"


def test_a_taken_port_is_tried_again_and_does_not_stop_the_others(forwarder: Forwarder, echo: Echo) -> None:
    free = free_port()
    holder = socket.create_server(("127.0.0.1", 0))
    taken = holder.getsockname()[1]
    forwarder.rules(**{f"p{free}": echo.port, f"p{taken}": echo.port})
    forwarder.start()
    assert asked(free, b"a") == b"one:a"
    holder.close()
    assert asked(taken, b"b") == b"one:b"


def test_a_target_that_does_not_answer_resets_the_client(forwarder: Forwarder) -> None:
    port = free_port()
    forwarder.rules(**{f"p{port}": free_port()})
    forwarder.start()
    with pytest.raises(ConnectionResetError), connected(port) as connection:
        connection.recv(1)
