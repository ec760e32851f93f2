"""Sending to a Kubo and an S3 that are played by small servers: what is sent, what is told, what stops it."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from c2d_box.pods.upload import s3
from c2d_box.pods.upload.__main__ import deliver
from c2d_box.pods.upload.sending import Entry, entries
from c2d_box.storage.sigv4 import Credentials, signed_headers


def entry(data: Path, path: str, content: bytes, kind: str = "output") -> Entry:
    place = data / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)
    name = path.partition("/")[2]
    return Entry(place, path, name, kind, len(content), hashlib.sha256(content).hexdigest())


def files(data: Path) -> list[Entry]:
    return [
        entry(data, "outputs/a/z ü.csv", b"1" * 300_000),
        entry(data, "outputs/b.csv", b""),
        entry(data, "logs/algorithm.log", b"log\n", "algorithmLog"),
    ]


def kubo(asked: Any) -> Any:
    names = re.findall(rb'filename="([^"]+)"', asked.body)
    lines = [{"Name": _plain(name), "Hash": f"cid-{index}"} for index, name in enumerate(names)]
    lines.append({"Name": "", "Hash": "root"})
    return _answer(200, "\n".join(json.dumps(line) for line in lines).encode())


def _plain(name: bytes) -> str:
    from urllib.parse import unquote

    return unquote(name.decode())


def _answer(status: int, body: bytes = b"") -> Any:
    return SimpleNamespace(status=status, body=body, headers={}, cut=None)


def test_all_files_go_to_ipfs_in_one_call(tmp_path: Path, serve: Any) -> None:
    server = serve(kubo)
    report = deliver(files(tmp_path), {"kind": "ipfs", "api": server.url, "token": "secret"}, "job", 5)
    (asked,) = server.asked
    assert asked.path.startswith("/api/v0/add?")
    assert "pin=true" in asked.path
    assert "cid-version=1" in asked.path
    assert asked.headers["Authorization"] == "Bearer secret"
    assert b"1" * 300_000 in asked.body
    folders = re.findall(rb'filename="([^"]+)"\r\nContent-Type: application/x-directory', asked.body)
    assert folders == [b"outputs", b"outputs%2Fa", b"logs"]
    assert [(result["filename"], result["type"], result["url"]) for result in report["results"]] == [
        ("a/z ü.csv", "output", "ipfs://root/outputs/a/z%20%C3%BC.csv"),
        ("b.csv", "output", "ipfs://root/outputs/b.csv"),
        ("algorithm.log", "algorithmLog", "ipfs://root/logs/algorithm.log"),
    ]
    assert all(result["cid"].startswith("cid-") for result in report["results"])


def test_a_store_that_is_away_is_tried_again(tmp_path: Path, serve: Any) -> None:
    count = 0

    def sick(asked: Any) -> Any:
        nonlocal count
        count += 1
        return _answer(503) if count < 3 else kubo(asked)

    pauses: list[float] = []
    store = {"kind": "ipfs", "api": serve(sick).url, "token": "t"}
    report = deliver(files(tmp_path), store, "job", 60, pauses.append)
    assert len(report["results"]) == 3
    assert pauses == [0.2, 0.4]


def test_a_store_that_stays_away_is_given_up(tmp_path: Path) -> None:
    store = {"kind": "ipfs", "api": "http://127.0.0.1:9", "token": "t"}
    assert "could not be reached" in deliver(files(tmp_path), store, "job", 0.1, lambda _: None)["failed"]


def test_a_refusing_store_is_not_asked_twice(tmp_path: Path, serve: Any) -> None:
    server = serve(lambda _: _answer(403))
    report = deliver(files(tmp_path), {"kind": "ipfs", "api": server.url, "token": "t"}, "job", 60)
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
    report = deliver(listed, {"kind": "ipfs", "api": server.url, "token": "t"}, "job", 1, lambda _: None)
    assert "results" not in report
    assert "z ü.csv" in report["failed"]


def test_objects_go_to_s3_below_the_jobs_prefix(tmp_path: Path, serve: Any) -> None:
    server = serve(lambda _: _answer(200))
    store = {
        "kind": "s3",
        "endpoint": server.url,
        "bucket": "results",
        "region": "r",
        "accessKey": "A",
        "secretKey": "S",
    }
    report = deliver(files(tmp_path), store, "job", 5)
    assert [asked.path for asked in server.asked] == [
        "/results/job/outputs/a/z%20%C3%BC.csv",
        "/results/job/outputs/b.csv",
        "/results/job/logs/algorithm.log",
    ]
    assert server.asked[0].body == b"1" * 300_000
    assert server.asked[0].headers["x-amz-content-sha256"] == hashlib.sha256(b"1" * 300_000).hexdigest()
    assert report["results"][1]["url"] == "s3://results/job/outputs/b.csv"


def test_two_independent_signers_agree() -> None:
    from datetime import UTC, datetime

    store = {"region": "eu-1", "accessKey": "AK", "secretKey": "SK"}
    now = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    ours = s3.sign("GET", "s3:9000", "/b/k", hashlib.sha256(b"").hexdigest(), store, now.timestamp())
    theirs = signed_headers("GET", "http://s3:9000/b/k", Credentials("AK", "SK", "eu-1"), now)
    assert ours["Authorization"] == theirs["authorization"]


def test_a_manifest_becomes_places(tmp_path: Path) -> None:
    line = {
        "source": "logs",
        "path": "logs/algorithm.log",
        "filename": "algorithm.log",
        "type": "algorithmLog",
    }
    (found,) = entries({"files": [{**line, "size": 1, "sha256": "x"}]}, tmp_path / "d", tmp_path / "v")
    assert found.place == tmp_path / "v" / "logs" / "logs" / "algorithm.log"


def test_no_files_is_no_call(tmp_path: Path) -> None:
    assert deliver([], {"kind": "ipfs", "api": "http://127.0.0.1:9"}, "job", 1) == {"results": []}
