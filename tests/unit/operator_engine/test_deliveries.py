"""What the upload container says is believed where the judge said so before, and of this job's places."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from coincurve import PrivateKey

from c2d_box.assets.crypto.ecies import OVERHEAD
from c2d_box.operator_engine.rules import deliveries, stage_reports
from c2d_box.operator_engine.rules.stage_reports import ReportedResult, UploadReport
from c2d_box.pods.upload.sealing import sealing_sender
from c2d_box.pods.upload.sending import SentFile, UploadEntry, memory_entry
from c2d_box.workflow import manifests, resource
from c2d_box.workflow.resource import WorkFlow

from .conftest import workflow_body

JOB = "0" * 31 + "1"
CID = "b" + "a" * 58
DIGEST, OTHER = "1" * 64, "2" * 64
FILES = [
    {"filename": "a b/metrics.json", "type": "output", "size": 3, "sha256": DIGEST},
    {"filename": "algorithm.log", "type": "algorithmLog", "size": 0, "sha256": OTHER},
]
BASES = {"s3": f"s3://results/{JOB}", "ipfs": f"ipfs://{CID}"}


def workflow(encrypt: str | None = None) -> WorkFlow:
    body = workflow_body(JOB)
    body["status"] = {
        "manifest": manifests.manifest_digest(FILES),
        "times": {"judged": "2026-01-01T00:00:00Z"},
    }
    if encrypt:
        body["spec"]["stages"][0]["output"] = {"encrypt": encrypt}
    return resource.parse_workflow(body)


def delivered(kind: str = "s3") -> list[dict[str, Any]]:
    base = BASES[kind]
    return [
        {"filename": "a b/metrics.json", "filesize": 3, "type": "output", "sha256": DIGEST}
        | {"url": f"{base}/outputs/a%20b/metrics.json"},
        {"filename": "algorithm.log", "filesize": 0, "type": "algorithmLog", "sha256": OTHER}
        | {"url": f"{base}/logs/algorithm.log"},
        {"filename": "evidence.json", "filesize": 9, "type": "evidence", "sha256": DIGEST}
        | {"url": f"{base}/evidence.json"},
    ]


def problem(entries: list[dict[str, Any]], encrypt: str | None = None) -> str | None:
    return deliveries.delivery_problem(
        workflow(encrypt), [ReportedResult.model_validate(entry) for entry in entries]
    )


@pytest.mark.parametrize("kind", BASES)
def test_what_was_judged_is_taken(kind: str) -> None:
    assert problem(delivered(kind)) is None


@pytest.mark.parametrize(
    "change",
    [
        {"sha256": OTHER},
        {"filesize": 4},
        {"filename": "b/metrics.json"},
        {"type": "algorithmLog"},
        {"url": "s3://results/" + "0" * 31 + "2/outputs/a%20b/metrics.json"},
        {"url": "s3://published-0x1/" + JOB + "/../private/a%20b/metrics.json"},
        {"url": f"s3://results/{JOB}/../other/a%20b/metrics.json"},
        {"url": f"s3://results/{JOB}/%2e%2e/other/a%20b/metrics.json"},
        {"url": f"s3://results/{JOB}x/outputs/a%20b/metrics.json"},
        {"url": f"s3://published-0x1/{JOB}/outputs/a%20b/metrics.json"},
        {"url": f"s3://results/{JOB}/outputs/another.json"},
        {"url": f"s3://results/{JOB}/outputs/a%20b/metrics.json?versionId=1"},
        {"url": f"https://results/{JOB}/outputs/a%20b/metrics.json"},
        {"url": f"file:///{JOB}/outputs/a%20b/metrics.json"},
        {"url": "ipfs://../outputs/a%20b/metrics.json"},
        {"encryption": "ecies", "judged": DIGEST},
    ],
)
def test_anything_else_is_refused(change: dict[str, Any]) -> None:
    entries = delivered()
    entries[0] |= change
    assert problem(entries) is not None


def test_files_are_neither_left_out_nor_added() -> None:
    entries = delivered()
    assert problem(entries[1:]) is not None
    assert problem([]) is not None
    assert problem([*entries, entries[2]]) is not None
    assert problem([entries[1], entries[0], entries[2]]) is not None


def test_another_folder_of_ipfs_is_refused() -> None:
    entries = delivered("ipfs")
    entries[2]["url"] = f"ipfs://{CID[:-1]}b/evidence.json"
    assert problem(entries) is not None


def test_encrypted_results_are_held_against_what_was_encrypted() -> None:
    entries = [
        entry
        | {"filename": entry["filename"] + ".ecies", "filesize": entry["filesize"] + OVERHEAD}
        | {"encryption": "ecies", "judged": entry["sha256"], "sha256": "3" * 64}
        for entry in delivered()
    ]
    assert problem(entries, "0x04") is None
    assert problem(entries) is not None, "the job did not ask for that"
    assert problem(delivered(), "0x04") is not None, "plain where encryption was asked for"
    entries[0]["judged"] = OTHER
    assert problem(entries, "0x04") is not None


def test_the_engine_answers_no_and_keeps_nothing() -> None:
    entries = delivered()
    entries[0]["url"] = "s3://published-0x1/x/metrics.json"
    answer = stage_reports.take_upload(workflow(), UploadReport.model_validate({"results": entries}), 1.0)
    assert (answer.status, answer.changes) == (409, {})


def test_what_the_container_really_encrypts_is_taken(tmp_path: Path) -> None:
    """With the upload container's own sealing, not with a report that a test wrote."""
    reader = PrivateKey(b"\x31" * 32).public_key.format(compressed=False).hex()
    files, judged = [], []
    for path, kind in (("outputs/a b/m.json", "output"), ("logs/algorithm.log", "algorithmLog")):
        place = tmp_path / path
        place.parent.mkdir(parents=True)
        place.write_bytes(b"of " + path.encode())
        name, size = path.partition("/")[2], place.stat().st_size
        digest = hashlib.sha256(place.read_bytes()).hexdigest()
        files.append(UploadEntry(place, path, name, kind, size, digest))
        judged.append({"filename": name, "type": kind, "size": size, "sha256": digest})
    files.append(memory_entry(manifests.EVIDENCE, "evidence", b"{}"))
    body = workflow_body(JOB)
    body["status"] = {"manifest": manifests.manifest_digest(judged)}
    body["spec"]["stages"][0]["output"] = {"encrypt": reader}

    def send(entries: list[UploadEntry]) -> list[SentFile]:
        return [SentFile(entry, f"ipfs://{CID}/{quote(entry.path)}", CID) for entry in entries]

    sent = sealing_sender(send, reader, b"a token")(files)
    reported = [ReportedResult.model_validate(each.as_result()) for each in sent]
    assert {entry.encryption for entry in reported} == {"ecies"}
    assert deliveries.delivery_problem(resource.parse_workflow(body), reported) is None
