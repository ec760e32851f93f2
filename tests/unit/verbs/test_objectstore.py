"""Signature Version 4 against the example of AWS's own documentation, and the two calls against a
transport.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from c2d_box.errors import StateProblem
from sandbox.objectstore import ObjectStore


def test_the_signing_key_is_derived_as_documented() -> None:
    store = ObjectStore("https://x", "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
    signed = store._signed("GET", "/", "0" * 64, datetime(2015, 8, 30, 12, 36, tzinfo=UTC))
    assert "Credential=AKIDEXAMPLE/20150830/us-east-1/s3/aws4_request" in signed["authorization"]
    assert signed["x-amz-date"] == "20150830T123600Z"


def test_a_store_that_does_not_answer_is_a_coded_error(tmp_path: Path) -> None:
    store = ObjectStore("http://127.0.0.1:1", "a", "b", timeout=1)
    with pytest.raises(StateProblem, match="C2D-S3-UNREACHABLE") as caught:
        store.ensure_bucket("data")
    assert isinstance(caught.value.__cause__, httpx.TransportError)


def test_the_secret_shows_in_no_repr() -> None:
    assert "hush" not in repr(ObjectStore("http://x", "id", "hush"))
