"""A job's evidence, checked against the chain, the descriptions, the files, the image and the results."""

from __future__ import annotations

import copy
import hashlib
import json
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from c2d_box.assets.crypto import signatures
from c2d_box.client import JobDetails, JobRequest
from c2d_box.client.evidence import verification
from c2d_box.kubernetes.sync_client import KubeApi
from c2d_box.workflow import evidence
from sandbox.box import Box
from sandbox.bundle import Bundle
from sandbox.verbs.compute import jobs
from sandbox.verbs.compute.evidence import explain_job, verify_evidence
from sandbox.verbs.sdk_connections import open_consumer

from .conftest import ComputePair, algorithm_images, finish_verb

SUM = """
import json, os
(did,) = json.loads(os.environ["DIDS"])
numbers = [int(line) for line in open(f"/data/inputs/{did}/0")]
json.dump({"sum": sum(numbers)}, open("/data/outputs/sum.json", "w"))
"""
KEY = "0x" + "77" * 32


@pytest.fixture(scope="module")
def job(
    publish_pair: Callable[[str, str], ComputePair], run_job: Callable[[ComputePair], JobDetails]
) -> JobDetails:
    return run_job(publish_pair("1\n2\n3\n", SUM))


@pytest.fixture(scope="module")
def record(box: Box, job: JobDetails) -> dict[str, Any]:
    with open_consumer(box, "consumer") as party:
        return verification.fetch_evidence(party, job.id)


def disagreeing(box: Box, job: JobDetails, record: dict[str, Any], folder: Path) -> set[str]:
    (folder / "record.json").write_text(json.dumps(record))
    found = verify_evidence(box, "consumer", job.id, folder / "record.json")
    assert not found.is_sound
    return {check.name.partition(" ")[0] for check in found.checks if check.ok is False}


def rehashed(record: dict[str, Any], key: str | None = None) -> dict[str, Any]:
    """All hashes made new, and signed by ``key``, as someone would who wants to be believed."""
    previous = record["entries"][0]["previous"]
    for entry in record["entries"]:
        entry["previous"] = previous
        entry["hash"] = previous = evidence._digest(previous, entry["kind"], entry["facts"])
    record["head"] = previous
    if key:
        record["signer"] = signatures.address_of(key)
        record["signature"] = signatures.sign_text(key, evidence._text(record["job"], previous))
    return record


def test_it_agrees_with_every_source(box: Box, job: JobDetails) -> None:
    assert job.status == 70, job
    found = verify_evidence(box, "consumer", job.id)
    assert found.is_sound, [check for check in found.checks if check.ok is not True]
    names = {check.name.partition(" ")[0] for check in found.checks if check.ok}
    assert {"record", "head", "environment", "order", "description", "file", "image", "isolation"} <= names
    assert "result sum.json" in {check.name for check in found.checks if check.ok}
    assert explain_job(box, "consumer", job.id).startswith("The job finished.")


def test_the_image_is_the_bundles_by_its_digest(box: Box, job: JobDetails) -> None:
    """As on every other cluster: test_kind and test_existing ask the same."""
    image = Bundle.open_cached(["algo-python-image"]).image("algo-python")
    assert algorithm_images(box, job.id) == {image.digest}


def test_a_flipped_byte_is_found(box: Box, job: JobDetails, record: dict[str, Any], tmp_path: Path) -> None:
    text = json.dumps(record)
    at = text.index('"sha256"') + 12
    flipped = json.loads(text[:at] + ("0" if text[at] != "0" else "1") + text[at + 1 :])
    assert disagreeing(box, job, flipped, tmp_path) == {"record"}


def test_one_altered_with_all_hashes_made_new_is_found(
    box: Box, job: JobDetails, record: dict[str, Any], tmp_path: Path
) -> None:
    altered = copy.deepcopy(record)
    for entry in altered["entries"]:
        if entry["kind"] == "outputs":
            entry["facts"]["files"][0]["sha256"] = "0" * 64
    assert disagreeing(box, job, rehashed(altered), tmp_path) == {"record"}
    assert disagreeing(box, job, rehashed(altered, KEY), tmp_path) == {
        "head",
        "environment",
        "order",
        "result",
    }


def test_encrypted_results_are_their_owners_alone(
    box: Box, publish_pair: Callable[[str, str], ComputePair], kube: KubeApi, tmp_path: Path
) -> None:
    """Nothing of the job is to be read in the store, its logs included; the evidence agrees all the same."""
    pair = publish_pair("1\n2\n3\n", SUM + "print('the sum of the secret numbers is written')\n")
    output = {"encrypt": True}
    started = finish_verb(
        jobs.start(box, "consumer", JobRequest(pair.dataset, pair.algorithm, output=output))
    )
    done = finish_verb(jobs.follow(box, "consumer", started.id, timeout=120))
    assert done.status == 70, done
    assert {item["encryption"] for item in done.results} == {"ecies"}
    workflow = kube.get(f"/apis/oceanprotocol.com/v1alpha/namespaces/c2d-jobs/workflows/{done.id}") or {}
    for result in workflow["status"]["results"]:
        url = result["url"].replace("ipfs://", box.service_urls["ipfs-gateway"].rstrip("/") + "/ipfs/")
        with urllib.request.urlopen(url, timeout=10) as answer:
            stored = answer.read()
        assert hashlib.sha256(stored).hexdigest() == result["sha256"]
        assert not {word for word in (b"sum", b"sha256", b"inputs") if word in stored}
    fetched = finish_verb(jobs.fetch_results(box, "consumer", done.id, tmp_path))
    assert (tmp_path / "sum.json").read_text() == '{"sum": 6}'
    assert all(item.path.suffix != ".ecies" for item in fetched)
    (log,) = jobs.log_texts(box, "consumer", done.id, "algorithm").values()
    assert "the secret numbers" in log
    found = verify_evidence(box, "consumer", done.id)
    assert found.is_sound, [check for check in found.checks if check.ok is not True]
    assert "encryption" in {check.name for check in found.checks if check.ok}
