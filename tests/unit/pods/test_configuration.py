"""Staging from a Provider that breaks off, lies, refuses: what is fetched, what is taken up, what is told."""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from pathlib import Path
from typing import Any

import pytest

from c2d_box.pods.configuration import fetching
from c2d_box.pods.configuration.__main__ import StageJournal, stage_inputs
from c2d_box.pods.configuration.layout import NotLaidOut, lay_out

DID, ALGORITHM = "did:op:" + "a" * 64, "did:op:" + "b" * 64
TABLE = b"a,b\n1,2\n" * 1000
FILES = {"t0": TABLE, "t1": b"second", "ddo": b'{"id":"x"}', "code": b"print(1)", "extra": b"lib"}
JOB = {"inputs": [{"id": DID}], "algorithm": {"id": ALGORITHM, "rawcode": "", "custom": {"epochs": 3}}}


def grants(url: str) -> dict[str, Any]:
    return {
        "provider": url,
        "inputs": [{"did": DID, "ddo": "ddo", "files": ["t0", "t1"]}],
        "algorithm": {"did": ALGORITHM, "ddo": "ddo", "files": ["code", "extra"]},
    }


def token(request: Any) -> str:
    return str(request.headers["Authorization"].removeprefix("Bearer "))


def provider(request: Any) -> Any:
    from dataclasses import make_dataclass

    answer = make_dataclass("Answer", ["status", "body", "headers", "cut"])
    content = FILES[token(request)]
    return answer(200, content, {"X-Checksum-Sha256": hashlib.sha256(content).hexdigest()}, None)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for name in ("inputs", "transformations", "ddos", "control", "adminlogs"):
        (tmp_path / name).mkdir()
    return tmp_path


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: None)


def staged(
    data: Path, url: str, job: dict[str, Any] = JOB, given: dict[str, Any] | None = None
) -> dict[str, Any]:
    with contextlib.closing(StageJournal(data / "adminlogs" / "configure.log")) as journal:
        return stage_inputs(job, given or grants(url), data, journal, time.monotonic() + 30)


def test_everything_is_where_algorithms_look_for_it(data: Path, serve: Any) -> None:
    report = staged(data, serve(provider).url)
    assert report["status"] == 30
    assert (data / "inputs" / ("a" * 64) / "0").read_bytes() == TABLE
    assert (data / "inputs" / ("a" * 64) / "1").read_bytes() == b"second"
    assert json.loads((data / "inputs" / "algoCustomData.json").read_text()) == {"epochs": 3}
    assert (data / "transformations" / "algorithm").read_bytes() == b"print(1)"
    assert (data / "transformations" / "algorithm").stat().st_mode & 0o111
    assert (data / "transformations" / "1").read_bytes() == b"lib"
    assert sorted(path.name for path in (data / "ddos").iterdir()) == ["a" * 64, "b" * 64]
    assert [(file["did"], file["index"], file["size"]) for file in report["files"]] == [
        (DID, 0, len(TABLE)),
        (DID, 1, 6),
        (ALGORITHM, 0, 8),
        (ALGORITHM, 1, 3),
    ]


@pytest.mark.parametrize("code", ["print('raw code')", "print(1)", "ls", "x"])
def test_raw_code_is_the_algorithm_and_nothing_is_asked_for(data: Path, code: str) -> None:
    job = {"inputs": [], "algorithm": {"id": "", "rawcode": code, "custom": None}}
    assert staged(data, "", job, {"inputs": []})["status"] == 30
    assert (data / "transformations" / "algorithm").read_text() == code
    assert (data / "inputs" / "algoCustomData.json").read_text() == "{}"


def test_a_broken_transfer_is_taken_up_where_it_broke_off(data: Path, serve: Any) -> None:
    def breaking(request: Any) -> Any:
        answer = provider(request)
        start = int(request.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
        body = FILES[token(request)][start:]
        answer.body = body
        if start:
            answer.status = 206
            answer.headers["Content-Range"] = f"bytes {start}-{start + len(body) - 1}/{start + len(body)}"
        answer.cut = 3000 if len(body) > 3000 else None
        return answer

    server = serve(breaking)
    assert staged(data, server.url)["status"] == 30
    assert (data / "inputs" / ("a" * 64) / "0").read_bytes() == TABLE
    ranges = [request.headers.get("Range") for request in server.asked if token(request) == "t0"]
    assert ranges == [None, "bytes=3000-", "bytes=6000-"]


def test_a_provider_without_ranges_is_asked_for_all_again(data: Path, serve: Any) -> None:
    count = 0

    def breaking(request: Any) -> Any:
        nonlocal count
        answer = provider(request)
        if token(request) == "t0":
            count += 1
            answer.cut = 100 if count == 1 else None
        return answer

    assert staged(data, serve(breaking).url)["status"] == 30
    assert (data / "inputs" / ("a" * 64) / "0").read_bytes() == TABLE


@pytest.mark.parametrize(("bad", "status"), [("t1", 31), ("extra", 32), ("ddo", 31)])
def test_a_refused_grant_names_asset_and_file_and_nothing_else(
    data: Path, serve: Any, bad: str, status: int
) -> None:
    def refusing(request: Any) -> Any:
        answer = provider(request)
        if token(request) == bad:
            answer.status = 403
            answer.body = b'{"error": "the order has expired, see https://user:pw@secret.example/x?k=1"}'
            answer.headers = {}
        return answer

    server = serve(refusing)
    report = staged(data, server.url)
    assert report["status"] == status
    log = (data / "adminlogs" / "configure.log").read_text()
    for text in (report["reason"], log):
        assert "403" in text
        assert "expired" in text
        assert "secret.example" not in text
        assert server.url not in text
        assert "Bearer" not in text
    if bad == "t1":
        assert report["reason"].startswith(f"dataset {DID}, file 1: ")


def test_a_wrong_checksum_is_a_failure(data: Path, serve: Any) -> None:
    def lying(request: Any) -> Any:
        answer = provider(request)
        answer.headers = {"X-Checksum-Sha256": "0" * 64}
        return answer

    report = staged(data, serve(lying).url)
    assert report["status"] == 31
    assert "checksum" in report["reason"]
    assert not (data / "inputs" / ("a" * 64) / "0").exists()


def test_a_provider_that_is_away_is_waited_for(data: Path, serve: Any) -> None:
    count = 0

    def sick(request: Any) -> Any:
        nonlocal count
        count += 1
        answer = provider(request)
        if count < 4:
            answer.status, answer.body, answer.headers = 503, b"", {}
        return answer

    assert staged(data, serve(sick).url)["status"] == 30


def test_a_provider_that_must_ask_first_is_waited_for_until_the_deadline(data: Path, serve: Any) -> None:
    """It says 503 while operator-service is away, and whether the job lives is not known."""
    count = 0

    def asking(request: Any) -> Any:
        nonlocal count
        answer = provider(request)
        if token(request) == "t0":
            count += 1
            if count <= 3 * fetching.ATTEMPTS:
                answer.status, answer.body, answer.headers = 503, b"{}", {"Retry-After": "5"}
        return answer

    assert staged(data, serve(asking).url)["status"] == 30 and count > 3 * fetching.ATTEMPTS


def test_whoever_says_503_at_the_deadline_is_given_up(tmp_path: Path, serve: Any) -> None:
    def away(request: Any) -> Any:
        answer = provider(request)
        answer.status, answer.body, answer.headers = 503, b'{"error":"not known now"}', {}
        return answer

    with pytest.raises(fetching.FetchFailed, match="503: not known now"):
        fetching.fetch_file(serve(away).url, "t0", tmp_path / "0", time.monotonic() + 1, pause=0.2)


def test_a_provider_that_stays_away_is_given_up(tmp_path: Path) -> None:
    with pytest.raises(fetching.FetchFailed, match="could not be reached"):
        fetching.fetch_file("http://127.0.0.1:9", "t", tmp_path / "0", time.monotonic() + 30)


@pytest.mark.parametrize("did", ["did:op:../../x", "did:op:", "did:op:a/b", "..", ""])
def test_a_did_that_is_no_name_is_refused(data: Path, did: str) -> None:
    with pytest.raises(NotLaidOut):
        lay_out({"inputs": [{"id": did}]}, {"inputs": [{"did": did, "files": []}]}, data)


def test_grants_of_another_job_are_refused(data: Path) -> None:
    report = staged(data, "", JOB, {"inputs": [{"did": "did:op:" + "c" * 64, "files": []}]})
    assert (report["status"], report["reason"]) == (
        31,
        "The grants do not belong to the datasets of this job.",
    )


def test_what_cannot_fit_is_not_begun(data: Path, serve: Any) -> None:
    """Its size is known before its first byte; the reason names dataset, file and both sizes."""

    def endless(request: Any) -> Any:
        answer = provider(request)
        if token(request) == "t1":
            answer.headers["Content-Length"] = str(1 << 60)
        return answer

    report = staged(data, serve(endless).url)
    assert report["status"] == 31
    assert f"dataset {DID}, file 1: it has {1 << 60} bytes more" in report["reason"]
    assert not list(data.rglob("1.part"))
