"""Tables fit 80 columns and show what tells things apart; ``--wide`` and ``--json`` give all."""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path
from typing import Any

import pytest

from c2d_box.client.jobs import JobDetails
from c2d_box.errors import Failed, UsageError
from sandbox.cli.app import invoke
from sandbox.cli.output import age_text
from sandbox.install import images
from sandbox.install.images import ContainerImage
from sandbox.verbs import accounts, faucet
from sandbox.verbs.accounts import ADDRESSES, ROLES, BoxAccount
from sandbox.verbs.compute import job_list
from sandbox.verbs.faucet import DatatokenHolding
from sandbox.verbs.inspection import chain, pods
from sandbox.verbs.inspection.chain import DecodedTransaction
from sandbox.verbs.inspection.pods import PodSummary, WorkflowSummary
from sandbox.verbs.publishing import asset_list
from sandbox.verbs.publishing.asset_heads import AssetHead
from sandbox.verbs.since import parse_since
from tests.harness.unasked_box import take_words_as_ids

PUBLISHER, CONSUMER = ADDRESSES[ROLES["publisher"]], ADDRESSES[ROLES["consumer"]]
STRANGER = "0x" + "9" * 40
DATA = "did:op:" + "ab12cd34" * 8
ALGORITHM = "did:op:" + "ffff0000" * 8
LONG = "A very long title that a publisher chose for the data of the second and third survey"
NOW = time.time()


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ages are those of the moment at which this module was read, however long a run took until here."""
    monkeypatch.setattr(time, "time", lambda: NOW)


def record(did: str, name: str, kind: str, owner: str, **more: Any) -> dict[str, Any]:
    created = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(NOW - more.pop("age", 600)))
    return {
        "id": did,
        "metadata": {"name": name, "type": kind, "description": "of a survey", "tags": ["health"]},
        "nft": {"owner": owner, "state": more.pop("state", 0), "created": created},
        "stats": {"price": {"value": 2.016104595119498, "tokenSymbol": "OCEAN"}},
    }


RECORDS = [
    record(DATA, LONG, "dataset", PUBLISHER),
    record(ALGORITHM, "mean.py", "algorithm", STRANGER, age=3 * 86400),
    {"id": "did:op:" + "0" * 64, "nft": {"owner": PUBLISHER, "state": 1}, "stats": {}},
]


def job(number: int, status: int, **more: Any) -> JobDetails:
    return JobDetails.parse(
        {
            "jobId": f"{number:04x}" + "1234abcd" * 3 + "0000",
            "owner": CONSUMER,
            "status": status,
            "statusText": "Job finished" if status == 70 else "Algorithm provisioning failed",
            "dateCreated": str(NOW - 100 * number),
            "dateFinished": str(NOW) if status >= 70 else None,
            "algoDID": ALGORITHM,
            "inputDID": [DATA],
            "environment": "ocean-compute",
            **more,
        }
    )


MINE = [
    job(1, 70),
    job(2, 75, reason="exit code 3"),
    job(3, 70, stopreq=1),
    job(4, 40, algoDID="raw"),
    job(5, 1),
]


@pytest.fixture(autouse=True)
def box(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    take_words_as_ids(monkeypatch)
    monkeypatch.setenv("C2D_BOX_HOME", str(tmp_path))
    monkeypatch.setattr(asset_list, "list_assets", lambda _box: RECORDS)
    monkeypatch.setattr(
        job_list, "list_asset_heads", lambda _box: [AssetHead.parse(each) for each in RECORDS]
    )
    monkeypatch.setattr(job_list, "list_jobs", lambda _box, who: MINE if who in ("consumer", "7") else [])


def shown(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert invoke(list(words)) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("command", ["jobs", "assets"])
def test_a_table_fits_80_columns(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    lines = shown(capsys, command).splitlines()
    assert len(lines) > 3
    assert max(map(len, lines)) <= 80
    assert any("…" in line for line in lines)


def test_jobs_show_id_names_owner_and_age(capsys: pytest.CaptureFixture[str]) -> None:
    header, first, *_ = shown(capsys, "jobs").splitlines()
    assert header.split() == ["JOB", "STATUS", "ALGORITHM", "DATA", "OWNER", "AGE", "TOOK"]
    assert first.split()[0] == MINE[0].id[:8]
    for part in ("70 Job", "mean.py", "A very", "consumer"):
        assert part in first
    assert re.search(r" 10\ds ", first)


def test_a_stopped_job_does_not_read_like_a_finished_one(capsys: pytest.CaptureFixture[str]) -> None:
    (line,) = shown(capsys, "jobs", "--state", "stopped").splitlines()[1:]
    assert "70 Stopped" in line and "finished" not in line


def test_wide_and_json_give_all(capsys: pytest.CaptureFixture[str]) -> None:
    wide = shown(capsys, "jobs", "--wide")
    for part in (MINE[0].id, DATA, ALGORITHM, LONG, CONSUMER, "ocean-compute"):
        assert part in wide
    assert json.loads(shown(capsys, "jobs", "--json")) == [dict(each.wire) for each in MINE]
    assert LONG in shown(capsys, "--wide", "assets") and DATA in shown(capsys, "assets", "--wide")
    assert json.loads(shown(capsys, "assets", "--json")) == RECORDS


def test_a_wider_terminal_shows_more(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setattr("shutil.get_terminal_size", lambda: os.terminal_size((200, 24)))
    assert LONG in shown(capsys, "assets")


@pytest.mark.parametrize(
    ("words", "numbers"),
    [
        ("--state failed", [2]),
        ("--state finished --state running", [1, 4]),
        ("--state waiting", [5]),
        ("--since 250s", [1, 2]),
        ("--text EXIT", [2]),
        ("--text mean", [1, 2, 3, 5]),
        (f"--asset {ALGORITHM} --state failed", [2]),
        (f"--asset {DATA} -n 2", [1, 2]),
        ("--owner all", [1, 2, 3, 4, 5]),
        ("--owner publisher", []),
        ("--owner publisher --owner consumer --last 1", [1]),
    ],
)
def test_jobs_are_chosen(words: str, numbers: list[int], capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(shown(capsys, "jobs", "--json", *words.split()))
    assert [int(each["jobId"][:4], 16) for each in found] == numbers


@pytest.mark.parametrize(
    ("words", "indexes"),
    [
        ("--type dataset", [0]),
        ("--owner publisher", [0, 2]),
        ("--owner 0x9999", [1]),
        (f"--owner {STRANGER}", [1]),
        (f"--owner {'0x' + '8' * 40}", []),
        ("--state ended", [2]),
        ("--state active --since 1d", [0]),
        ("--text SURVEY", [0, 1]),
        ("--text health -n 1", [0]),
        ("--text ffff0000", [1]),
    ],
)
def test_assets_are_chosen(words: str, indexes: list[int], capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(shown(capsys, "assets", "--json", *words.split()))
    assert found == [RECORDS[index] for index in indexes]


def test_jobs_are_listed_without_the_cache(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def away(_box: object) -> None:
        raise Failed("C2D-SERVICE-UNREACHABLE", "the metadata cache does not answer")

    monkeypatch.setattr(job_list, "list_asset_heads", away)
    lines = shown(capsys, "jobs").splitlines()
    assert len(lines) == 6 and max(map(len, lines)) <= 80
    assert "did:op:" in lines[1]


def test_an_unknown_owner_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["assets", "--owner", "nobody"]) == 2
    assert "C2D-ACCOUNT-UNKNOWN" in capsys.readouterr().err


def test_accounts_fit_too(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    rich = [BoxAccount("consumer2", 5, address, 9_999_999.5, 12_345_678.25) for address in ADDRESSES]
    monkeypatch.setattr(accounts, "list_accounts", lambda _box: rich)
    assert max(map(len, shown(capsys, "accounts").splitlines())) <= 80
    assert ADDRESSES[0] in shown(capsys, "accounts", "--wide")
    usual = [BoxAccount("consumer2", 5, address, 999_999.98, 1_000_000.0) for address in ADDRESSES]
    monkeypatch.setattr(accounts, "list_accounts", lambda _box: usual)
    narrow = shown(capsys, "accounts")
    assert max(map(len, narrow.splitlines())) <= 80
    assert all(address in narrow for address in ADDRESSES), "an address is there to be copied"


JOB = "1234abcd" * 4
PODS = [
    PodSummary(
        "c2d-jobs", f"{JOB}-algorithm", "ContainerCreating", "0/2", 0, NOW - 60, "", (), JOB, "algorithm"
    ),
    PodSummary("c2d", "operator-engine-7d9c5b6f4d-x2x9p", "Running", "1/1", 0, NOW - 9000, "", ()),
]
FLOWS = [WorkflowSummary(JOB, "77 Outputs refused", NOW, CONSUMER, "ocean-compute")]
MINED = [
    DecodedTransaction("0x" + "ab12cd34" * 8, 7, int(NOW), "publisher", STRANGER, "approve", {}, True, 1, ())
]
HELD = [DatatokenHolding(DATA, LONG, STRANGER, 2.0)]
HAD = [
    ContainerImage("registry.example.org:5000/people/tools/algo-xgboost", "2026-01-31", "sha256:" + "ab" * 32)
]


@pytest.mark.parametrize(
    ("words", "short", "whole"),
    [
        ("pods", "1234abcd…-algorithm", f"{JOB}-algorithm"),
        ("pods --workflows", "1234abcd  77 Outputs refused  consumer", JOB),
        ("chain", "ab12cd34", "0x" + "ab12cd34" * 8),
        ("accounts --datatokens", "ab12cd34", DATA),
        ("images list", "abababababab", "sha256:" + "ab" * 32),
    ],
)
def test_every_list_is_short_and_wide_gives_all(
    words: str, short: str, whole: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(pods, "list_pods", lambda *_: PODS)
    monkeypatch.setattr(pods, "list_workflows", lambda _box: FLOWS)
    monkeypatch.setattr(chain, "list_transactions", lambda *_: MINED)
    monkeypatch.setattr(faucet, "datatoken_holdings", lambda *_: HELD)
    monkeypatch.setattr(images, "node_images", lambda _box: HAD)
    narrow = shown(capsys, *words.split())
    assert max(map(len, narrow.splitlines())) <= 80
    assert short in narrow and whole not in narrow
    assert whole in shown(capsys, *words.split(), "--wide")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (119, "119s"), (120, "2m"), (7199, "120m"), (7200, "2h"), (3 * 86400, "3d"), (-50, "0s")],
)
def test_an_age_is_in_its_largest_unit(seconds: float, text: str) -> None:
    assert age_text(1e9 - seconds, now=1e9) == text


def test_a_time_is_a_duration_or_a_date() -> None:
    assert parse_since("90m", now=1e6) == 1e6 - 5400
    assert parse_since("2D", now=1e6) == 1e6 - 172800
    assert parse_since("1970-01-02") == 86400
    assert parse_since("1970-01-01T02:00:00+01:00") == 3600
    for wrong in ("", "yesterday", "2x", "-3h", "99999999999999999999h"):
        with pytest.raises(UsageError, match="is no time"):
            parse_since(wrong)
