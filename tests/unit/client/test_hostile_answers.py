"""What a Provider or a cache may answer: anything; the client says so in one sentence, with a code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from c2d_box.client.services.cache import MetadataCache
from c2d_box.client.services.provider import Provider
from c2d_box.errors import C2DError

BODIES = [
    b"",
    b"<html>",
    b"[" * 200_000,
    b'{"a":' * 100_000,
    b"[1, 2]",
    b"7",
    b'"text"',
    b"null",
    b"NaN",
    b'{"nonce": "x", "hits": 3, "8996": {}}',
    b'{"\\ud800": "\\ud800"}',
    b'{"nonce": 1e999}',
    b"\xff\xfe",
    b"[" + b"9" * 10_000 + b"]",
]
CALLS: dict[str, Callable[[Any], Any]] = {
    "provider nonce": lambda url: provider(url).last_nonce("0x" + "1" * 40),
    "provider jobs": lambda url: provider(url).list_jobs("0x" + "1" * 40),
    "provider environments": lambda url: provider(url).list_environments(),
    "provider fileinfo": lambda url: provider(url).file_info({"type": "url"}),
    "provider initialize": lambda url: provider(url).initialize({"documentId": "did:op:1"}),
    "provider quote": lambda url: provider(url).initialize_compute({}),
    "cache record": lambda url: cache(url).read_record("did:op:1"),
    "cache assets": lambda url: cache(url).list_assets(),
    "cache validate": lambda url: cache(url).validate_ddo(b"{}"),
}


def provider(body: tuple[int, bytes]) -> Provider:
    return Provider("http://127.0.0.1:1", 8996, transport=answering(body))


def cache(body: tuple[int, bytes]) -> MetadataCache:
    return MetadataCache("http://127.0.0.1:1", transport=answering(body))


def answering(body: tuple[int, bytes]) -> httpx.MockTransport:
    """The far side of the wire, which is a stranger's."""
    return httpx.MockTransport(lambda _: httpx.Response(body[0], content=body[1]))


@pytest.mark.parametrize("status", [200, 400, 403, 500])
@pytest.mark.parametrize("call", CALLS)
def test_any_answer_is_a_value_or_an_error_with_a_code(call: str, status: int) -> None:
    for body in BODIES:
        try:
            CALLS[call]((status, body))
        except C2DError as error:
            assert error.code.startswith("C2D-")
            assert len(str(error)) < 3_000
