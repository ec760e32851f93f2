"""From what an algorithm leaves on its volume to the consumer's folder, through every part that has a limit:
judge, its report, the engine's rules, the status in Kubernetes, the wire, the consumer's paths.
"""

from __future__ import annotations

import hashlib
import random
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from c2d_box import limits as agreed
from c2d_box import timestamps
from c2d_box.operator_engine.rules import stage_reports
from c2d_box.workflow import evidence, listing, ocean_status, resource
from tests.harness.result_path import IPFS, KEY, NOW, ReportingJob, merge_patch, workflow_body

letters = st.characters(categories=("L", "N", "Mn", "So"), exclude_characters="/\0")
names = st.text(letters | st.sampled_from(" -_.()\u00a0"), min_size=1, max_size=80).filter(
    lambda name: name.strip(" .\u00a0") and len(name.encode()) <= 255
)
trees = st.lists(st.lists(names, min_size=1, max_size=5), max_size=12)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(trees, st.sampled_from([IPFS, "s3://results/" + "f" * 32]))
def test_whatever_the_names_every_output_arrives(tree: list[list[str]], store: str) -> None:
    with tempfile.TemporaryDirectory() as place:
        job, written = ReportingJob(Path(place)), 0
        for number, parts in enumerate(tree):
            path = job.places.data.joinpath("outputs", *parts)
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("xb") as file:
                    file.write(str(number).encode())
            except OSError:  # a folder of that name, or a name that this file system does not take
                continue
            written += 1
        sent = job.send_results(store)
        status = ocean_status.owner_status(job.workflow)
        if any("hidden" in line["reason"] or "long" in line["reason"] for line in _refused(job)):
            assert status["status"] == 77
            return
        assert status["status"] == 70, status["reason"]
        fetched = job.fetch_files(sent, Path(place) / "consumer")
        assert len(set(fetched)) == len(fetched) == written + 1
        assert agreed.stored_bytes(job.body) < agreed.ETCD_BYTES


def _refused(job: ReportingJob) -> list[dict[str, Any]]:
    return list(job.body["status"].get("refused") or [])


WORST = {
    "cyrillic": lambda n: "/".join(["папка-с-результатами" * 5] * 4) + f"/отчёт-{n:05}-" + "ы" * 50,
    "chinese": lambda n: "/".join(["實驗結果" * 20] * 4) + f"/报告-{n}",
    "hashes": lambda n: hashlib.sha256(str(n).encode()).hexdigest() * 3,
    "short": lambda n: f"{n}.csv",
}


@pytest.mark.parametrize("kind", sorted(WORST))
def test_two_thousand_outputs_with_long_names_are_one_small_object(tmp_path: Path, kind: str) -> None:
    job = ReportingJob(tmp_path)
    folders = {Path(WORST[kind](n)).parent for n in range(2000)}
    room = agreed.OUTPUT_FILES - sum(len(folder.parts) for folder in folders)
    for n in range(room):
        path = job.places.data / "outputs" / WORST[kind](n)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(str(n).encode())
    sent = job.send_results("s3://results/" + "f" * 32)
    assert ocean_status.owner_status(job.workflow)["status"] == 70
    assert len(sent) == room + 1
    assert [result.filename for result in job.workflow.status.results or ()] == [e.filename for e in sent]
    assert [result.url for result in job.workflow.status.results or ()] == [
        f"s3://results/{'f' * 32}/{quote(entry.path)}" for entry in sent
    ]
    assert agreed.stored_bytes(job.body["status"]) <= 450_000


def test_names_that_cannot_be_packed_are_refused_with_their_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agreed, "LISTING_PACKED_CHARACTERS", 40_000)
    job, chance = ReportingJob(tmp_path), random.Random(7)
    for _ in range(200):
        name = "".join(chr(chance.randrange(0x4E00, 0x9FA5)) for _ in range(80))
        (job.places.data / "outputs" / name).touch()
    job.send_results(IPFS)
    status = ocean_status.owner_status(job.workflow)
    assert status["status"] == 77
    assert "names of all outputs together are too long" in status["reason"]


@pytest.mark.parametrize("count", [100, 101, 2000])
def test_refused_outputs_are_counted_and_the_first_are_named(tmp_path: Path, count: int) -> None:
    job = ReportingJob(tmp_path)
    for n in range(count):
        (job.places.data / "outputs" / f"{n:04}{'я' * 100}").symlink_to("/etc/passwd")
    job.send_results(IPFS)
    status = ocean_status.owner_status(job.workflow)
    assert status["status"] == 77
    assert status["reason"].startswith(f"{count} of the outputs refused, the first: outputs/0000")
    assert len(_refused(job)) == agreed.REFUSED_LISTED
    assert [entry["type"] for entry in status["results"]] == ["algorithmLog"]


def test_a_report_with_more_than_is_listed_is_cut_by_the_engine_too() -> None:
    """A pod of another version may report more."""
    refused = [{"path": "x" * 3000, "reason": "y" * 3000}] * 500
    report = stage_reports.JudgeReport.model_validate({"refused": refused, "refusedCount": 5000})
    answer = stage_reports.take_judgement(resource.parse_workflow(workflow_body()), report, NOW)
    assert (answer.status, answer.changes["refusedCount"]) == (200, 5000)
    assert agreed.stored_bytes(answer.changes) < agreed.RECORD_BYTES + 2000


def test_ten_thousand_staged_inputs_are_a_short_list_a_count_and_a_digest() -> None:
    made = workflow_body()
    made["status"] = {"code": 20, "times": {}, "algorithm": {"uid": "u"}}
    files = [
        {
            "did": "did:op:" + "d" * 64,
            "index": n,
            "size": n,
            "sha256": hashlib.sha256(bytes([n % 251])).hexdigest(),
        }
        for n in range(10_000)
    ]
    files.append({"did": "did:op:algorithm", "index": 0, "size": 1, "sha256": "a" * 64})
    made["spec"]["stages"][0]["algorithm"]["id"] = "did:op:algorithm"
    report = stage_reports.ConfigurationReport.model_validate({"status": 30, "files": files})
    answer = stage_reports.take_configuration(resource.parse_workflow(made), report, NOW)
    assert (answer.status, answer.changes["inputsCount"]) == (200, 10_001)
    assert agreed.stored_bytes(answer.changes["inputs"]) <= agreed.RECORD_BYTES + 10
    made["status"] = merge_patch(made["status"], answer.changes)
    staged = evidence.evidence_facts(
        evidence.evidence_record(resource.parse_workflow(made), [], {}, KEY), "staged"
    )
    assert (staged["count"], len(str(staged["digest"]))) == (10_001, 64)
    assert staged["files"][0]["did"] == "did:op:algorithm"  # it says what ran


def test_all_that_one_object_may_hold_fits_into_etcd() -> None:
    parts = agreed.SPEC_BYTES + agreed.LISTING_PACKED_CHARACTERS + agreed.TRANSACTIONS_CHARACTERS
    assert parts + 2 * agreed.RECORD_BYTES + 60_000 < agreed.ETCD_BYTES


def test_what_etcd_stores_is_counted_as_kubernetes_writes_it() -> None:
    assert agreed.stored_bytes("<é>") == 2 + 6 + 2 + 6


def test_transactions_of_an_asset_are_bounded_all_together() -> None:
    made = workflow_body(asset={"transactions": {"create": "0x" + "0" * 100_000}})
    made["status"]["times"]["uploaded"] = timestamps.rfc3339_text(NOW)
    made["spec"]["stages"][0]["output"] = {"publish": {"name": "x"}}
    workflow = resource.parse_workflow(made)
    assert stage_reports.take_intent(workflow, "describe", "0x" + "1" * 190_000, None).status == 422
    assert stage_reports.take_intent(workflow, "describe", "0x" + "1" * 90_000, None).status == 200


@pytest.mark.parametrize("text", ["", "AAAA", "eJw=", "x", "e30=", "eJyrrgUAAXUA+Q=="])
def test_a_packed_list_that_is_none_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError):
        listing.unpack_listing(text)


@pytest.mark.parametrize(
    ("status", "told"),
    [
        ({"algorithm": {"exitCode": 0}}, True),
        ({"algorithm": {"exitCode": 3}, "outcome": {"code": 75}}, True),
        ({"algorithm": {"exitCode": 0}, "stop": 1}, False),
        ({"algorithm": {"exitCode": 0}, "stop": 2}, False),
        ({"algorithm": {"exitCode": 137, "reason": "OOMKilled"}, "outcome": {"code": 76}}, False),
        ({"algorithm": {}}, False),
    ],
)
def test_the_logs_time_is_an_end_only_where_the_gate_was_the_last_to_touch_it(
    status: dict[str, Any], told: bool
) -> None:
    report = stage_reports.JudgeReport.model_validate({"exited": NOW + 1})
    answer = stage_reports.take_judgement(resource.parse_workflow(workflow_body(**status)), report, NOW + 5)
    assert ("exited" in answer.changes["times"]) == told
