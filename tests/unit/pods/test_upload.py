"""Sending to a Kubo and an S3 that are played by small servers: what is sent, what is told, what stops it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from c2d_box.assets.crypto import salted_blocks
from c2d_box.operator_engine.pod_api.presigned_uploads import PresignedUploads
from c2d_box.operator_engine.rules.stage_reports import PodAnswer
from c2d_box.pods.upload import ipfs, s3
from c2d_box.pods.upload.__main__ import Send, deliver_files
from c2d_box.pods.upload.sending import UploadEntry, manifest_entries
from c2d_box.workflow.result_store import S3Store


def entry(data: Path, path: str, content: bytes, kind: str = "output") -> UploadEntry:
    place = data / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)
    name = path.partition("/")[2]
    return UploadEntry(place, path, name, kind, len(content), hashlib.sha256(content).hexdigest())


def files(data: Path) -> list[UploadEntry]:
    return [
        entry(data, "outputs/a/z ü.csv", b"1" * 300_000),
        entry(data, "outputs/b.csv", b""),
        entry(data, "logs/algorithm.log", b"log\n", "algorithmLog"),
    ]


SECRET = b"the stage's token"


def to_ipfs(store: dict[str, Any]) -> Send:
    return lambda listed: ipfs.send_to_ipfs(listed, store, SECRET)


def kubo(asked: Any) -> Any:
    """Pins the root that the stream names."""
    stream = asked.body.partition(b"\r\n\r\n")[2]
    root = salted_blocks.cid_text(stream[14:50])
    return _answer(200, json.dumps({"Root": {"Cid": {"/": root}, "PinErrorMsg": ""}}).encode())


def _answer(status: int, body: bytes = b"") -> Any:
    return SimpleNamespace(status=status, body=body, headers={}, cut=None)


def test_all_files_go_to_ipfs_in_one_call(tmp_path: Path, serve: Any) -> None:
    server = serve(kubo)
    report = deliver_files(
        files(tmp_path), to_ipfs({"kind": "ipfs", "api": server.url, "token": "secret"}), 5
    )
    (asked,) = server.asked
    assert asked.path.startswith("/api/v0/dag/import?pin-roots=true")
    assert asked.headers["Authorization"] == "Bearer secret"
    assert b"1" * 300_000 in asked.body
    root = report["results"][0]["url"].removeprefix("ipfs://").partition("/")[0]
    assert [(result["filename"], result["type"], result["url"]) for result in report["results"]] == [
        ("a/z ü.csv", "output", f"ipfs://{root}/outputs/a/z%20%C3%BC.csv"),
        ("b.csv", "output", f"ipfs://{root}/outputs/b.csv"),
        ("algorithm.log", "algorithmLog", f"ipfs://{root}/logs/algorithm.log"),
    ]
    names = [result["cid"] for result in report["results"]]
    assert all(re.fullmatch("bafybei[a-z2-7]{52}", name) for name in [*names, root])
    assert len(set(names)) == 3


def test_a_repeated_call_stores_the_same_blocks(tmp_path: Path, serve: Any) -> None:
    server = serve(kubo)
    store = {"kind": "ipfs", "api": server.url, "token": "t"}
    first, again = (deliver_files(files(tmp_path), to_ipfs(store), 5) for _ in range(2))
    assert first == again
    assert _stream(server.asked[0]) == _stream(server.asked[1])


def _stream(asked: Any) -> bytes:
    """Between the boundaries, which are new each time."""
    return bytes(asked.body.partition(b"\r\n\r\n")[2].rpartition(b"\r\n--")[0])


@pytest.mark.parametrize("answer", ["", "{", '{"Root": 1}', '{"Root": {"Cid": {"/": "bafyother"}}}', "PIN"])
def test_what_was_not_pinned_is_not_stored(tmp_path: Path, serve: Any, answer: str) -> None:
    def unpinned(asked: Any) -> Any:
        body = kubo(asked).body
        return _answer(200, body.replace(b'Msg": ""', b'Msg": "no"') if answer == "PIN" else answer.encode())

    store = {"kind": "ipfs", "api": serve(unpinned).url, "token": "t"}
    report = deliver_files(files(tmp_path), to_ipfs(store), 0.1, lambda _: None)
    assert "cannot be understood" in report["failed"]


def test_a_store_that_is_away_is_tried_again(tmp_path: Path, serve: Any) -> None:
    count = 0

    def sick(asked: Any) -> Any:
        nonlocal count
        count += 1
        return _answer(503) if count < 3 else kubo(asked)

    pauses: list[float] = []
    store = {"kind": "ipfs", "api": serve(sick).url, "token": "t"}
    report = deliver_files(files(tmp_path), to_ipfs(store), 60, pauses.append)
    assert len(report["results"]) == 3
    assert pauses == [0.2, 0.4]


def test_a_store_that_stays_away_is_given_up(tmp_path: Path) -> None:
    store = {"kind": "ipfs", "api": "http://127.0.0.1:9", "token": "t"}
    assert (
        "could not be reached"
        in deliver_files(files(tmp_path), to_ipfs(store), 0.1, lambda _: None)["failed"]
    )


def test_a_refusing_store_is_not_asked_twice(tmp_path: Path, serve: Any) -> None:
    server = serve(lambda _: _answer(403))
    report = deliver_files(files(tmp_path), to_ipfs({"kind": "ipfs", "api": server.url, "token": "t"}), 60)
    assert report == {"failed": "IPFS answered 403."}
    assert len(server.asked) == 1


@pytest.mark.parametrize("change", ["content", "longer", "shorter", "link", "linked folder", "pipe", "gone"])
def test_what_is_not_as_it_was_judged_is_not_sent(tmp_path: Path, serve: Any, change: str) -> None:
    listed = files(tmp_path)
    place = listed[0].place
    if change in ("content", "longer", "shorter"):
        place.write_bytes({"content": b"2" * 300_000, "longer": b"1" * 300_001, "shorter": b"1"}[change])
    elif change == "linked folder":
        place.parent.rename(tmp_path / "elsewhere")
        place.parent.symlink_to(tmp_path / "elsewhere")
    else:
        content = place.read_bytes()
        place.unlink()
        if change == "link":
            (tmp_path / "target").write_bytes(content)
            place.symlink_to(tmp_path / "target")
        elif change == "pipe":
            import os

            os.mkfifo(place)
    server = serve(kubo)
    report = deliver_files(
        listed, to_ipfs({"kind": "ipfs", "api": server.url, "token": "t"}), 1, lambda _: None
    )
    assert "results" not in report
    assert "z ü.csv" in report["failed"]


STORE = S3Store(endpoint="http://store:9000", bucket="results")
KEYS = {"accessKey": "A", "secretKey": "S"}


def slots_for(store: dict[str, Any], asked: list[int]) -> s3.Ask:
    """The engine's own offer, without the engine."""
    place = S3Store(endpoint=store["endpoint"], bucket=store["bucket"], region=store["region"])

    def ask(wanted: list[UploadEntry]) -> dict[str, Mapping[str, str]]:
        asked.append(len(wanted))
        wish = {"files": [{"path": entry.path, "sha256": entry.sha256} for entry in wanted]}
        found = PresignedUploads(place, KEYS).sign_uploads("job", wish)
        assert isinstance(found, dict)
        return found

    return ask


def test_objects_go_to_s3_below_the_jobs_prefix(tmp_path: Path, serve: Any) -> None:
    server = serve(lambda _: _answer(200))
    store = {"kind": "s3", "endpoint": server.url, "bucket": "results", "region": "r"}
    report = deliver_files(files(tmp_path), s3.S3Sender(store, "job", slots_for(store, [])).send_files, 5)
    assert [asked.path for asked in server.asked] == [
        "/results/job/outputs/a/z%20%C3%BC.csv",
        "/results/job/outputs/b.csv",
        "/results/job/logs/algorithm.log",
    ]
    assert server.asked[0].body == b"1" * 300_000
    assert server.asked[0].headers["x-amz-content-sha256"] == hashlib.sha256(b"1" * 300_000).hexdigest()
    assert report["results"][1]["url"] == "s3://results/job/outputs/b.csv"


def test_what_s3_has_already_is_not_sent_again(tmp_path: Path, serve: Any) -> None:
    answers = iter([200, 503, 200, 200])
    server = serve(lambda _: _answer(next(answers)))
    store = {"kind": "s3", "endpoint": server.url, "bucket": "results", "region": "r"}
    asked: list[int] = []
    report = deliver_files(
        files(tmp_path), s3.S3Sender(store, "job", slots_for(store, asked)).send_files, 60, lambda _: None
    )
    assert len(report["results"]) == 3
    assert [entry.path.rpartition("/")[2] for entry in server.asked].count("z%20%C3%BC.csv") == 1
    assert asked == [3, 2]


@pytest.mark.parametrize("path", ["../other/x", "/etc/passwd", "a/../../b", "a//b", "", "./x", "a/."])
def test_no_slot_leads_out_of_the_jobs_prefix(path: str) -> None:
    found = PresignedUploads(STORE, KEYS).sign_uploads("job", {"files": [{"path": path, "sha256": "0" * 64}]})
    assert isinstance(found, PodAnswer)
    assert found.status == 422


def test_a_manifest_becomes_places(tmp_path: Path) -> None:
    line = {
        "source": "logs",
        "path": "logs/algorithm.log",
        "filename": "algorithm.log",
        "type": "algorithmLog",
    }
    (found,) = manifest_entries(
        {"files": [{**line, "size": 1, "sha256": "x"}]}, tmp_path / "d", tmp_path / "v"
    )
    assert found.place == tmp_path / "v" / "logs" / "logs" / "algorithm.log"


def test_no_files_is_no_call(tmp_path: Path) -> None:
    assert deliver_files([], to_ipfs({"kind": "ipfs", "api": "http://127.0.0.1:9"}), 1) == {"results": []}
