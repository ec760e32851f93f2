"""The contract of the S3 client, asked of a store in this process; tests/contract asks the real one."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from c2d_box.storage.s3_client import S3Client, S3Endpoint, S3Unreachable
from c2d_box.storage.sigv4 import S3Credentials
from tests.contract.s3_suite import *  # noqa: F403 - the tests themselves
from tests.harness.fake_services import BackgroundServer
from tests.harness.s3_store import S3Server

ROOT = S3Credentials("ROOT", "the root's secret of this test", "us-east-1")


@pytest.fixture
def client() -> Iterator[S3Client]:
    with BackgroundServer(S3Server(ROOT).app()) as served:
        yield S3Client(S3Endpoint(served.url, ROOT))


def test_a_store_that_is_away_is_told_apart_from_a_refusal() -> None:
    client = S3Client(S3Endpoint("http://127.0.0.1:9", ROOT))
    with pytest.raises(S3Unreachable, match=r"^GET http://127.0.0.1:9/bucket failed$") as problem:
        client.list_keys("bucket")
    assert isinstance(problem.value.__cause__, httpx.ConnectError)


def test_the_secret_shows_in_no_repr() -> None:
    assert "secret" not in repr(S3Client(S3Endpoint("http://x", ROOT)))


def test_an_address_may_end_in_a_slash() -> None:
    endpoint = S3Endpoint("http://x/", ROOT)
    assert endpoint.sign_request("GET").url == "http://x/"
    assert endpoint.sign_request("GET", "b").url == "http://x/b"
    assert endpoint.sign_request("GET", "b", "k/l m").url == "http://x/b/k/l%20m"
