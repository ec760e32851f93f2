"""The publishing verb's object store against the real versitygw, run as the chart runs it: above all, what
the key that is sealed into a published file object can do, and what it cannot.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qsl

import pytest

from c2d_box.errors import C2DError
from c2d_box.kubernetes.port import ClusterError
from c2d_box.operator_engine.effects import result_expiry
from c2d_box.storage.s3_client import S3Client
from c2d_box.workflow.resource import JobResult
from c2d_box.workflow.result_store import S3Store
from sandbox.bundle import Bundle
from sandbox.objectstore import ObjectStore, ReadingKey
from tests.contract.s3_suite import *  # noqa: F403 - the tests themselves
from tests.harness.versitygw import send_request, versitygw_in

MINE, ANOTHERS, RESULTS = "published-" + "a" * 40, "published-" + "b" * 40, "results"
CONTENT = b"name,age\nAda,36\n"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    try:
        binary = Bundle.open_cached(["versitygw"]).binary("versitygw")
    except C2DError as error:
        pytest.skip(f"no versitygw in the bundle: {error}")
    with versitygw_in(tmp_path_factory.mktemp("s3"), binary) as made:
        file = tmp_path_factory.mktemp("files") / "people.csv"
        file.write_bytes(CONTENT)
        for bucket in (MINE, ANOTHERS, RESULTS):
            made.ensure_bucket(bucket)
            made.put_file(bucket, "x/people.csv", file)
        yield made


@pytest.fixture(scope="module")
def key(store: ObjectStore) -> ReadingKey:
    store.reader_of(ANOTHERS)
    return store.reader_of(MINE)


@pytest.fixture
def sealed(store: ObjectStore, key: ReadingKey) -> ObjectStore:
    """The store as whoever holds the sealed key sees it."""
    return ObjectStore(store.endpoint, key.access_key, key.secret_key)


@pytest.fixture
def client(store: ObjectStore) -> S3Client:
    return store.client


def test_it_reads_what_was_published(sealed: ObjectStore) -> None:
    assert sealed.has_object(MINE, "x/people.csv")
    answer = send_request(sealed, "GET", f"/{MINE}/x/people.csv")
    assert (answer.status_code, answer.content) == (200, CONTENT)


@pytest.mark.parametrize(
    ("method", "path", "query"),
    [
        ("GET", f"/{ANOTHERS}/x/people.csv", ""),
        ("HEAD", f"/{ANOTHERS}/x/people.csv", ""),
        ("GET", f"/{RESULTS}/x/people.csv", ""),
        ("GET", f"/{MINE}", "list-type=2"),
        ("GET", f"/{ANOTHERS}", "list-type=2"),
        ("PUT", f"/{MINE}/x/people.csv", ""),
        ("PUT", f"/{MINE}/new", ""),
        ("PUT", f"/{RESULTS}/new", ""),
        ("DELETE", f"/{MINE}/x/people.csv", ""),
        ("DELETE", f"/{MINE}", ""),
        ("PUT", "/anotherbucket", ""),
        ("GET", f"/{MINE}", "policy="),
        ("PUT", f"/{MINE}", "policy="),
        ("PUT", f"/{MINE}", "acl="),
        ("POST", f"/{MINE}/new", "uploads="),
        ("PATCH", "/create-user", ""),
        ("PATCH", "/list-users", ""),
        ("PATCH", "/list-buckets", ""),
    ],
)
def test_it_does_nothing_else(
    sealed: ObjectStore, store: ObjectStore, method: str, path: str, query: str
) -> None:
    answer = send_request(
        sealed,
        method,
        path,
        b"" if method in ("GET", "HEAD", "DELETE") else b"<x/>",
        dict(parse_qsl(query, keep_blank_values=True)),
    )
    assert answer.status_code == 403, answer.text
    kept = send_request(store, "GET", f"/{MINE}/x/people.csv")
    assert kept.content == CONTENT


def test_it_sees_no_bucket(sealed: ObjectStore) -> None:
    answer = send_request(sealed, "GET", "/")
    assert answer.status_code == 403 or MINE not in answer.text


def test_the_same_bucket_has_the_same_key(store: ObjectStore, key: ReadingKey) -> None:
    again, others = store.reader_of(MINE), store.reader_of(ANOTHERS)
    assert again == key and others.access_key != key.access_key and others.secret_key != key.secret_key
    assert key.secret_key not in repr(key) and store.secret_key not in f"{key}{key.secret_key}"


async def test_results_whose_time_is_over_are_deleted_and_no_others(
    store: ObjectStore, tmp_path: Path
) -> None:
    place = S3Store(endpoint=store.endpoint, bucket=RESULTS)
    keys = {"s3-access-key": "ROOT", "s3-secret-key": "the root's secret of this test"}
    (tmp_path / "file").write_bytes(CONTENT)
    for key in ("job/outputs/a b.csv", "job/logs/l", "other/l"):
        store.put_file(RESULTS, key, tmp_path / "file")
    urls = (f"s3://{RESULTS}/job/outputs/a%20b.csv", f"s3://{RESULTS}/job/logs/l")
    mine = [JobResult(filename="f", filesize=1, type="output", url=url) for url in urls]
    for _ in range(2):  # again: what is gone is gone
        await result_expiry.delete_results(place, keys.__getitem__, "job", mine)
    assert set(store.list_keys(RESULTS)) == {"x/people.csv", "other/l"}
    with pytest.raises(ClusterError, match="S3 answered 403"):
        await result_expiry.delete_results(place, lambda _: "ROOT", "job", mine)
