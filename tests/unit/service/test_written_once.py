"""Each service runs on one server, writes one kind of log line and reads bodies in one place."""

from __future__ import annotations

import ast
import io
import json
import logging
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from c2d_box.service.bounded_protocol import BoundedProtocol
from c2d_box.service.http_server import server_config
from c2d_box.service.json_logging import JsonLineFormatter
from c2d_box.service.request_body import BodyRefused, read_body

ROOT = Path(__file__).parents[3]
_OWNERS = {
    r"uvicorn\.(Config|run)\(": {"c2d_box/service/http_server.py"},
    r"\(logging\.Formatter\)|formatException\(": {"c2d_box/service/json_logging.py"},
    r"request\.(stream|body|json|form)\(": {"c2d_box/service/request_body.py"},
    r"json\(\)[^\n]*request\b|await request\.json": set(),
}


@pytest.mark.parametrize("pattern", _OWNERS)
def test_it_is_written_once(pattern: str) -> None:
    found = {
        str(path.relative_to(ROOT))
        for package in ("c2d_box", "sandbox")
        for path in (ROOT / package).rglob("*.py")
        if re.search(pattern, path.read_text())
    }
    assert found == _OWNERS[pattern]


def test_heads_are_bounded_and_idle_connections_outlive_the_clients() -> None:
    config = server_config(Starlette(), "127.0.0.1", 8000, stop_seconds=1)
    assert config.http is BoundedProtocol
    assert config.timeout_keep_alive == 75
    assert config.timeout_graceful_shutdown == 1
    assert not config.access_log


def test_a_log_line_has_no_exception_text() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLineFormatter())
    logger = logging.getLogger("c2d.test")
    logger.addHandler(handler)
    try:
        raise ValueError("secretAccessKey=s3cr3t")
    except ValueError:
        logger.exception("a call failed", extra={"job": "abc", "color_message": "\x1b[1m"})
    finally:
        logger.removeHandler(handler)
    line = json.loads(stream.getvalue())
    assert (line["level"], line["logger"], line["message"]) == ("error", "c2d.test", "a call failed")
    assert (line["exception"], line["job"]) == ("ValueError", "abc")
    assert "s3cr3t" not in stream.getvalue()
    assert "\\u001b" not in stream.getvalue()


PLAIN_ATTRIBUTES = {"code", "message", "status", "sqlstate", "exit_status"}
OWN_SENTENCES = {"c2d_box/metadata/fetching.py"}
"""Exceptions whose text is the reason that the cache serves to everybody."""


def texts_in_log_calls(source: str) -> Iterator[int]:
    """Lines of log calls inside ``except … as name`` that take ``name`` itself, or its text."""
    for handler in ast.walk(ast.parse(source)):
        if not isinstance(handler, ast.ExceptHandler) or handler.name is None:
            continue
        for call in ast.walk(handler):
            if isinstance(call, ast.Call) and ast.unparse(call.func).startswith(("log.", "logger.")):
                values = [*call.args, *(key.value for key in call.keywords if key.arg != "exc_info")]
                if any(_takes_text(value, handler.name) for value in values):
                    yield call.lineno


def _takes_text(node: ast.AST, name: str) -> bool:
    if isinstance(node, ast.Name):
        return node.id == name
    if isinstance(node, ast.Attribute) and node.attr in PLAIN_ATTRIBUTES:
        return False
    if isinstance(node, ast.Call) and ast.unparse(node.func) in ("type", "loggable_text"):
        return False
    return any(_takes_text(child, name) for child in ast.iter_child_nodes(node))


def test_no_service_logs_the_text_of_an_exception() -> None:
    not_services = {"client", "pods"}
    roots = [path for path in (ROOT / "c2d_box").iterdir() if path.name not in not_services]
    found = {
        f"{path.relative_to(ROOT)}:{line}"
        for root in [*roots, ROOT / "sandbox" / "testchain"]
        for path in root.rglob("*.py")
        for line in texts_in_log_calls(path.read_text())
        if str(path.relative_to(ROOT)) not in OWN_SENTENCES
    }
    assert found == set()


@pytest.mark.parametrize(
    ("call", "is_found"),
    [
        ('log.warning("failed: %s", error)', True),
        ('log.warning("failed", extra={"why": str(error)[:500]})', True),
        ('log.warning(f"failed: {error!r}")', True),
        ('log.warning("failed: %s", error.message)', False),
        ('log.warning("failed: %s", type(error).__name__)', False),
        ('log.error("failed", exc_info=error)', False),
    ],
)
def test_a_text_in_a_log_call_is_found(call: str, is_found: bool) -> None:
    source = f"try:\n    work()\nexcept OSError as error:\n    {call}\n"
    assert bool(list(texts_in_log_calls(source))) is is_found


async def _echo(request: Request) -> Response:
    try:
        return PlainTextResponse(str(len(await read_body(request, 1000))))
    except BodyRefused as refused:
        return PlainTextResponse(refused.text, refused.status)


async def test_a_body_is_bounded_whether_its_length_is_said_or_not() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(2):
            yield b"x" * 600

    app = Starlette(routes=[Route("/", _echo, methods=["POST"])])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        assert (await client.post("/", content=b"x" * 1000)).text == "1000"
        assert (await client.post("/", content=b"x" * 1001)).status_code == 413
        assert (await client.post("/", content=pieces())).status_code == 413
        lying = {"content-length": "9" * 40}
        assert (await client.post("/", content=b"", headers=lying)).status_code == 413
        # A superscript two counts as a digit, and is no number.
        odd = [(b"content-length", b"\xb2")]
        assert (await client.post("/", content=b"", headers=odd)).text == "0"
