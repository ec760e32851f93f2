"""Publishers' rules on results: what they refuse, and that what cannot be checked is refused too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from c2d_box.assets.disclosure import InvalidRules, Rules, parse, strictest
from c2d_box.pods.judge.__main__ import Places, judge
from c2d_box.pods.judge.outputs import Limits

LIMITS = Limits(files=50, bytes=1 << 20, log_bytes=2000)
MANDATE = {"outputs": True, "logs": True}


def judged(folder: Path, rules: dict[str, Any], **files: bytes) -> tuple[list[str], str]:
    """Names of what may leave, and the first reason against it."""
    for name in ("outputs", "logs", "adminlogs"):
        (folder / name).mkdir(exist_ok=True)
    (folder / "logs" / "algorithm.log").write_text("row 1: the secret\n")
    for name, content in files.items():
        (folder / "outputs" / name.replace("_", ".")).write_bytes(content)
    verdict = folder / "verdict"
    verdict.mkdir(exist_ok=True)
    manifest, report = judge(MANDATE, LIMITS, Places(folder, verdict), rules)
    reasons = [entry["reason"] for entry in report["refused"]]
    return [line["filename"] for line in manifest["files"] if line["size"]], " ".join(reasons)


@pytest.mark.parametrize(
    ("rules", "name", "content"),
    [
        ({"types": ["json"]}, "x_json", b'{"a": 1}'),
        ({"types": ["csv"], "maxRows": 2}, "x_csv", b"a,b\n1,2\n3,4\n"),
        ({"minCell": 5}, "x_csv", b"group,count\nx,5\ny,60\n"),
        ({"minCell": 5, "countColumns": ["people"]}, "x_json", b'[{"mean": 1.5, "people": 9}]'),
        ({"types": ["png"]}, "x_png", b"\x89PNG\r\n\x1a\n..."),
        ({"maxBytes": 10, "maxFiles": 1}, "x_bin", b"0123456789"),
    ],
)
def test_what_the_rules_allow_leaves_with_its_log(
    tmp_path: Path, rules: dict[str, Any], name: str, content: bytes
) -> None:
    left, reasons = judged(tmp_path, rules, **{name: content})
    assert left == [name.replace("_", "."), "algorithm.log"], reasons


@pytest.mark.parametrize(
    ("rules", "name", "content", "reason"),
    [
        ({"types": ["json"]}, "x_csv", b"a\n1\n", "type"),
        ({"types": ["json"]}, "x_json", b"a,b\n1,2", "not JSON"),
        ({"types": ["png"]}, "x_png", b"the data itself", "not png"),
        ({"types": ["parquet"]}, "x_parquet", b"PAR1", "cannot be checked"),
        ({"maxRows": 2}, "x_csv", b"a\n1\n2\n3\n", "3 rows"),
        ({"maxRows": 2}, "x_json", b'{"deep": {"er": [1, 2, 3]}}', "3 rows"),
        ({"maxRows": 2}, "x_txt", b"1\n2\n3", "3 rows"),
        ({"maxRows": 2}, "x_bin", b"1", "cannot be checked"),
        ({"minCell": 5}, "x_csv", b"group,count\nx,4\n", "fewer than 5"),
        ({"minCell": 5}, "x_csv", b"group,count\nx,many\n", "fewer than 5"),
        ({"minCell": 5}, "x_csv", b"group,count\nx,nan\n", "fewer than 5"),
        ({"minCell": 5}, "x_csv", b"group,mean\nx,4.2\n", "no count column"),
        ({"minCell": 5}, "x_csv", b"count,count\n50,1\n", "fewer than 5"),
        ({"minCell": 5}, "x_csv", b"count\n50,1\n", "columns of its header"),
        ({"minCell": 5}, "x_json", b'{"count": true}', "fewer than 5"),
        ({"minCell": 5}, "x_png", b"\x89PNG\r\n\x1a\n...", "only tables"),
        ({"maxBytes": 10}, "x_bin", b"01234567890", "bytes"),
    ],
)
def test_what_they_do_not_allow_stays_and_so_does_the_log(
    tmp_path: Path, rules: dict[str, Any], name: str, content: bytes, reason: str
) -> None:
    left, reasons = judged(tmp_path, rules, **{name: content})
    assert left == []
    assert reason in reasons


@pytest.mark.parametrize(
    "rules", [{"minCell": "5"}, {"maxRows": -1}, {"unknown": 1}, [], "x", {"types": "csv"}]
)
def test_a_rule_that_cannot_be_understood_is_not_skipped(rules: Any) -> None:
    with pytest.raises(InvalidRules):
        parse(rules)


limits = st.none() | st.integers(1, 1000)


@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.builds(Rules, max_files=limits, max_bytes=limits, max_rows=limits, min_cell=limits)))
def test_all_rules_at_once_allow_no_more_than_each(rules: list[Rules]) -> None:
    merged = strictest(rules)
    assert (merged is None) == (not rules)
    for entry in rules:
        assert merged is not None
        for name in ("max_files", "max_bytes", "max_rows"):
            if (mine := getattr(entry, name)) is not None:
                assert getattr(merged, name) <= mine
        assert entry.min_cell is None or (merged.min_cell or 0) >= entry.min_cell
        assert parse(merged.as_dict()) == merged
