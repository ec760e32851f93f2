"""Our signature against the worked example of the S3 documentation (GET Object without its Range header)."""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from c2d_box.storage import AddressRules, Fetcher, Origin
from c2d_box.storage.http1 import HttpRequest
from c2d_box.storage.sigv4 import S3Credentials, object_path, signed_headers
from tests.harness.fake_services import BackgroundServer

KEY = S3Credentials("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "us-east-1")
NOW = datetime(2013, 5, 24, tzinfo=UTC)


def test_the_documented_lifecycle_request() -> None:
    """GET ?lifecycle= on examplebucket: the example with exactly the three headers that we sign."""
    headers = signed_headers("GET", "https://examplebucket.s3.amazonaws.com/?lifecycle=", KEY, NOW)
    assert headers["x-amz-date"] == "20130524T000000Z"
    assert headers["authorization"].endswith(
        "Signature=fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"
    )


def test_paths_are_encoded_once() -> None:
    assert object_path("bucket", "a b/ü+c~.csv") == "/bucket/a%20b/%C3%BC%2Bc~.csv"


def test_the_key_is_in_no_representation() -> None:
    assert "wJalr" not in repr(KEY) and "AKIA" not in repr(KEY)


def test_another_secret_signs_otherwise() -> None:
    other = S3Credentials(KEY.access_key_id, "x", KEY.region)
    url = "https://h/b/k"
    assert signed_headers("GET", url, KEY, NOW) != signed_headers("GET", url, other, NOW)
    assert hmac.new(b"k", b"m", hashlib.sha256).digest_size == 32


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("https://s3.example:443/b/k", "https://s3.example/b/k"),
        ("http://s3.example:80/b/k", "http://s3.example/b/k"),
        ("https://S3.Example/b/k", "https://s3.example/b/k"),
        ("HTTPS://S3.EXAMPLE:443/b/k", "https://s3.example/b/k"),
        ("http://S3.Example:9000/b/k", "http://s3.example:9000/b/k"),
    ],
)
def test_what_is_signed_is_the_host_header_that_is_sent(written: str, sent: str) -> None:
    """An endpoint with the scheme's own port, or in capitals, never authenticated."""
    credentials = S3Credentials("key", "secret", "us-east-1")
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert signed_headers("GET", written, credentials, now) == signed_headers("GET", sent, credentials, now)


async def test_the_fetcher_sends_the_host_that_was_signed() -> None:
    """Over a real connection: what arrives as Host is what the signature covers."""
    seen: list[str] = []

    async def serve(request: Request) -> Response:
        seen.append(request.headers["host"])
        return Response(b"x")

    with BackgroundServer(Starlette(routes=[Route("/{path:path}", serve)])) as served:
        url = served.url.replace("http://127.0.0.1", "HTTP://LOCALHOST") + "/b/k"
        credentials = S3Credentials("key", "secret", "us-east-1")
        headers = dict(signed_headers("GET", url, credentials))
        fetcher = Fetcher(AddressRules([url]))
        (await fetcher.fetch(HttpRequest("GET", url, headers))).close()
        assert Origin.from_url(url).netloc == seen[0] == f"localhost:{served.port}"
