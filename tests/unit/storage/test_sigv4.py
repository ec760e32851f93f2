"""Our signature against the worked example of the S3 documentation (GET Object without its Range header)."""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime

from c2d_box.storage.sigv4 import Credentials, object_path, signed_headers

KEY = Credentials("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "us-east-1")
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
    other = Credentials(KEY.access_key_id, "x", KEY.region)
    url = "https://h/b/k"
    assert signed_headers("GET", url, KEY, NOW) != signed_headers("GET", url, other, NOW)
    assert hmac.new(b"k", b"m", hashlib.sha256).digest_size == 32
