"""The services' own keys of the real versitygw: each does its service's work and nothing else, and what a
result asset seals onto the chain opens nothing at all.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from c2d_box.assets.crypto import ecies
from c2d_box.assets.files import ResultFile, S3File, unseal_files
from c2d_box.errors import C2DError
from c2d_box.operator_engine.effects import result_expiry
from c2d_box.operator_engine.pod_api.presigned_uploads import PresignedUploads
from c2d_box.operator_engine.pod_api.register_relay import RegisterRelay
from c2d_box.pods.upload import s3 as uploading
from c2d_box.pods.upload.sending import UploadEntry
from c2d_box.storage import AddressRules, Fetcher, FetchForbidden, ResultStore, S3Results, Storage
from c2d_box.storage.accounts import ACTIONS, AccountSettings, make_accounts
from c2d_box.storage.sigv4 import S3Credentials
from c2d_box.workflow.resource import JobResult
from c2d_box.workflow.result_store import S3Store
from sandbox.bundle import Bundle
from sandbox.objectstore import ObjectStore
from tests.harness.versitygw import ROOT, SECRET, send_request, versitygw_in

PUBLISHED, RESULTS, CONTENT = "published-" + "a" * 40, "results", b'{"accuracy": 0.93}'
JOB, OTHER = "0" * 31 + "1", "0" * 31 + "2"
NFT, DATATOKEN = "0x" + "1" * 40, "0x" + "2" * 40
KEY = b"\x11" * 32


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    try:
        binary = Bundle.open_cached(["versitygw"]).binary("versitygw")
    except C2DError as error:
        pytest.skip(f"no versitygw in the bundle: {error}")
    with versitygw_in(tmp_path_factory.mktemp("s3"), binary) as made:
        file = tmp_path_factory.mktemp("files") / "file"
        file.write_bytes(CONTENT)
        for bucket, key in ((PUBLISHED, "x/table.csv"), (RESULTS, f"{OTHER}/outputs/a")):
            made.ensure_bucket(bucket)
            made.put_file(bucket, key, file)
        made.reader_of(PUBLISHED)
        secrets = tmp_path_factory.mktemp("secrets")
        for name, access, secret in (
            ("s3", ROOT, SECRET),
            *((f"s3-{name}", name.upper(), f"of {name} <&>") for name in ACTIONS),
        ):
            (secrets / f"{name}-access-key").write_text(access)
            (secrets / f"{name}-secret-key").write_text(secret + "\n")
        settings = AccountSettings(endpoint=made.endpoint, bucket=RESULTS, secretsDir=secrets)
        for _ in range(2):  # an upgrade does it again
            make_accounts(settings)
        yield made


def seen_by(store: ObjectStore, name: str) -> ObjectStore:
    return ObjectStore(store.endpoint, name.upper(), f"of {name} <&>")


@pytest.mark.parametrize("name", ACTIONS)
@pytest.mark.parametrize(
    ("method", "path", "may"),
    [
        ("GET", f"/{RESULTS}/{OTHER}/outputs/a", ("service", "provider")),
        ("PUT", f"/{RESULTS}/{OTHER}/new", ("engine",)),
        ("DELETE", f"/{RESULTS}/{OTHER}/new", ("engine",)),
        ("GET", f"/{RESULTS}?list-type=2", ()),
        ("GET", f"/{RESULTS}?policy=", ()),
        ("PUT", f"/{RESULTS}?policy=", ()),
        ("DELETE", f"/{RESULTS}", ()),
        ("GET", f"/{PUBLISHED}/x/table.csv", ()),
        ("GET", f"/{PUBLISHED}?list-type=2", ()),
        ("PUT", f"/{PUBLISHED}/new", ()),
        ("PUT", "/another", ()),
        ("PATCH", "/create-user", ()),
        ("PATCH", "/list-users", ()),
    ],
)
def test_each_service_can_do_its_work_alone(
    store: ObjectStore, name: str, method: str, path: str, may: tuple[str, ...]
) -> None:
    plain, _, query = path.partition("?")
    asked = dict([query.split("=")]) if query else None
    answer = send_request(
        seen_by(store, name), method, plain, b"" if method in ("GET", "DELETE") else b"x", asked
    )
    assert answer.status_code in ((200, 204) if name in may else (403,)), answer.text


def test_no_service_sees_a_bucket(store: ObjectStore) -> None:
    for name in ACTIONS:
        answer = send_request(seen_by(store, name), "GET", "/")
        assert answer.status_code == 403 or PUBLISHED not in answer.text


async def test_a_job_is_stored_read_and_expired_with_those_keys(store: ObjectStore, tmp_path: Path) -> None:
    place = S3Store(endpoint=store.endpoint, bucket=RESULTS)
    slots = PresignedUploads(place, {"accessKey": "ENGINE", "secretKey": "of engine <&>"})
    files = []
    for path in ("outputs/ä b.json", "logs/algorithm.log"):
        file = tmp_path / path
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(CONTENT)
        digest = hashlib.sha256(CONTENT).hexdigest()
        files.append(UploadEntry(file, path, path.partition("/")[2], "output", len(CONTENT), digest))

    def ask(entries: list[UploadEntry]) -> Any:
        return slots.sign_uploads(JOB, {"files": [{"path": e.path, "sha256": e.sha256} for e in entries]})

    sent = uploading.S3Sender(place.model_dump(), JOB, ask).send_files(files)
    relay = RegisterRelay(SimpleNamespace(), "shared")  # type: ignore[arg-type]
    results = [JobResult.model_validate(each.as_result()) for each in sent]
    documents = [relay._file(JOB, result, NFT, DATATOKEN) for result in results]
    reader = S3Credentials("PROVIDER", "of provider <&>", "us-east-1")
    inside = ResultStore(
        S3Results(store.endpoint, RESULTS, reader), "shared", Fetcher(AddressRules([store.endpoint]))
    )
    storage = Storage(Fetcher(AddressRules()), results=inside)
    for document in documents:
        opened = await storage.open(document)
        assert b"".join([chunk async for chunk in opened.chunks]) == CONTENT
        opened.close()
    mine = {"s3-access-key": "ENGINE", "s3-secret-key": "of engine <&>"}
    await result_expiry.delete_results(place, mine.__getitem__, JOB, results)
    assert store.list_keys(RESULTS) == [f"{OTHER}/outputs/a"]


async def test_what_is_sealed_onto_the_chain_opens_nothing(store: ObjectStore) -> None:
    """Whoever reads the document, one day, with the Provider's key: there is no key in it, and the Provider
    itself opens with it this asset's result alone.
    """
    sealed: list[bytes] = []

    class Sealing(RegisterRelay):
        async def seal(self, content: bytes) -> str:
            sealed.append(content)
            return "0x" + ecies.encrypt(KEY, content).hex()

    result = JobResult(filename="a", filesize=1, type="output", url=f"s3://{RESULTS}/{OTHER}/outputs/a")
    workflow = SimpleNamespace(job=OTHER, status=SimpleNamespace(results=(result,)))
    text = await Sealing(SimpleNamespace(), "shared").seal_files(workflow, NFT, DATATOKEN)  # type: ignore[arg-type]
    (plain,) = sealed
    for secret in (
        ROOT,
        SECRET,
        *(value for n in ACTIONS for value in (n.upper() + '"', f"of {n} <&>")),
        "shared",
    ):
        assert secret.encode() not in plain
    assert set(json.loads(plain)["files"][0]) == {"type", "job", "place", "proof"}
    (file,) = unseal_files(KEY, text, nft=NFT, datatoken=DATATOKEN)
    assert isinstance(file, ResultFile) and not isinstance(file, S3File)
    for access, secret in ((file.proof[:20], file.proof), (file.job, file.proof), (file.proof, "")):
        holder = ObjectStore(store.endpoint, access, secret)
        for path in ("/", f"/{RESULTS}", f"/{RESULTS}/{OTHER}/outputs/a", f"/{PUBLISHED}/x/table.csv"):
            assert send_request(holder, "GET", path).status_code == 403
    reader = S3Credentials("PROVIDER", "of provider <&>", "us-east-1")
    inside = ResultStore(
        S3Results(store.endpoint, RESULTS, reader), "shared", Fetcher(AddressRules([store.endpoint]))
    )
    storage = Storage(Fetcher(AddressRules()), results=inside)
    (await storage.open(file)).close()
    for place in (f"s3://{PUBLISHED}/x/table.csv", f"s3://{RESULTS}/{JOB}/outputs/a"):
        with pytest.raises(FetchForbidden):
            await storage.open(ResultFile(file.job, place, NFT, DATATOKEN, file.proof))
