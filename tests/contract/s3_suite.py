"""The contract of the S3 client: an adapter's tests import it and have a fixture ``client``."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from c2d_box.storage.s3_client import S3Client, S3Endpoint, S3Refused
from c2d_box.storage.sigv4 import S3Credentials

__all__ = [
    "file",
    "test_a_bucket_is_made_once_and_seen",
    "test_a_key_of_its_own_does_what_the_policy_says",
    "test_a_list_has_every_key_however_it_is_written",
    "test_a_part_of_an_object_is_read_by_a_request_that_others_send",
    "test_a_wrong_secret_is_refused",
    "test_an_object_is_stored_read_and_deleted",
    "test_another_body_than_the_signed_one_is_refused",
]

NAMES = ("plain", "job/outputs/a b.csv", "job/ü+%2B&=.txt", "job/~tilde_-.x")
READER = S3Credentials("READER", "the reader's <&> secret", "us-east-1")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    return path


def test_a_bucket_is_made_once_and_seen(client: S3Client) -> None:
    for _ in range(2):
        client.create_bucket("made")
    assert "made" in client.list_buckets()


def test_an_object_is_stored_read_and_deleted(client: S3Client, file: Path) -> None:
    client.create_bucket("objects")
    for name in NAMES:
        assert not client.has_object("objects", name)
        client.put_file("objects", name, file)
        assert client.has_object("objects", name) and client.read_object("objects", name) == b"0123456789"
        for _ in range(2):
            client.delete_object("objects", name)
        with pytest.raises(S3Refused, match="404"):
            client.read_object("objects", name)


def test_a_list_has_every_key_however_it_is_written(client: S3Client, file: Path) -> None:
    """A store may answer with plain keys also where encoded ones are asked for, as versitygw does."""
    client.create_bucket("listed")
    for name in NAMES:
        client.put_file("listed", name, file)
    assert sorted(client.list_keys("listed")) == sorted(NAMES)
    with pytest.raises(S3Refused, match="404"):
        client.list_keys("missing")


def test_a_part_of_an_object_is_read_by_a_request_that_others_send(client: S3Client, file: Path) -> None:
    client.create_bucket("ranged")
    client.put_file("ranged", "a b", file)
    request = client.endpoint.sign_request("GET", "ranged", "a b")
    assert not request.follow
    answer = httpx.get(request.url, headers={**request.headers, "Range": "bytes=2-4"}, trust_env=False)
    assert (answer.status_code, answer.content) == (206, b"234")


def test_another_body_than_the_signed_one_is_refused(client: S3Client) -> None:
    client.create_bucket("bodies")
    request = client.endpoint.sign_request("PUT", "bodies", "x", digest="0" * 64)
    answer = httpx.put(request.url, headers=request.headers, content=b"other", trust_env=False)
    assert answer.status_code in (400, 403)
    assert not client.has_object("bodies", "x")


def test_a_wrong_secret_is_refused(client: S3Client) -> None:
    key = client.endpoint.credentials
    wrong = S3Credentials(key.access_key_id, "wrong", key.region)
    other = S3Client(S3Endpoint(client.endpoint.address, wrong))
    with pytest.raises(S3Refused, match="403"):
        other.list_buckets()
    with pytest.raises(S3Refused, match="403"):
        other.delete_object("objects", "x")


def test_a_key_of_its_own_does_what_the_policy_says(client: S3Client, file: Path) -> None:
    client.create_bucket("shared")
    client.put_file("shared", "x", file)
    for _ in range(2):
        client.create_account(READER)
    client.put_policy("shared", {READER.access_key_id: ["s3:GetObject"]})
    reader = S3Client(S3Endpoint(client.endpoint.address, READER))
    assert reader.read_object("shared", "x") == b"0123456789"
    with pytest.raises(S3Refused, match="403"):
        reader.put_file("shared", "y", file)
    with pytest.raises(S3Refused, match="403"):
        reader.list_keys("shared")
