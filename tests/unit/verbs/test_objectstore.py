"""What the box's S3 calls say when something is wrong; tests/contract asks them of the real store."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import httpx
import pytest

from c2d_box.errors import StateProblem
from sandbox.objectstore import ObjectStore


def problem_of(endpoint: str, timeout: float = 5) -> StateProblem:
    with pytest.raises(StateProblem, match="C2D-S3-UNREACHABLE") as caught:
        ObjectStore(endpoint, "a", "b", timeout=timeout).ensure_bucket("data")
    assert isinstance(caught.value.__cause__, httpx.TransportError)
    return caught.value


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """Takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as made:
        yield made


def test_a_store_where_nothing_listens_is_to_be_started(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    listener.close()
    problem = problem_of(f"http://127.0.0.1:{port}")
    assert problem.message == f"PUT http://127.0.0.1:{port}/data failed: nothing listens there"
    assert problem.next_step == "c2d-box status shows its state; c2d-box up starts it"


def test_a_store_that_is_slow_is_not_to_be_started(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    problem = problem_of(f"http://127.0.0.1:{port}", timeout=0.2)
    assert problem.message == f"PUT http://127.0.0.1:{port}/data failed: no answer came in time"
    assert problem.next_step.startswith("try again; c2d-box logs s3") and " up" not in problem.next_step


def test_a_store_without_an_address_or_without_tls_is_told_as_that(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closing() -> None:
        taken, _ = listener.accept()
        taken.recv(1)
        taken.sendall(b"HTTP/1.1 400 no TLS here\r\n\r\n")
        taken.close()

    thread = threading.Thread(target=closing)
    thread.start()
    problem = problem_of(f"https://localhost:{listener.getsockname()[1]}")
    thread.join()
    assert "failed: TLS was not agreed on (" in problem.message and "speaks https" in problem.next_step

    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    problem = problem_of("http://store.invalid")
    assert problem.message.endswith("its name has no address") and "DNS" in problem.next_step


def test_a_proxy_that_refuses_is_told_as_that(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise httpx.ProxyError("403 Forbidden")

    monkeypatch.setattr(httpx, "request", refuse)
    problem = problem_of("https://store.example.org")
    assert problem.message.endswith("the proxy refused") and "NO_PROXY" in problem.next_step


def test_the_secret_shows_in_no_repr() -> None:
    assert "hush" not in repr(ObjectStore("http://x", "id", "hush"))
