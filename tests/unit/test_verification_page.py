"""docs/verification.md is made from docs/verification.yaml; no claim in it lacks a command."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from tests.verification_table import (
    PAGE,
    TABLE,
    Sections,
    format_table,
    read_table,
    record_figure,
    render_page,
)

PROGRAM = re.compile(
    r"(?:[A-Z0-9_]+=\S+ |sudo |time |unshare -\w+ )*(?:pytest|python -m tests\.|make|c2d-box|lint-imports)\b"
)
KEYS = {"claim", "run", "how", "seen", "date", "note"}


def test_the_page_is_the_table(request: pytest.FixtureRequest) -> None:
    sections = read_table()
    if request.config.getoption("--write-docs"):
        TABLE.write_text(format_table(sections))
        PAGE.write_text(render_page(sections))
    assert TABLE.read_text() == format_table(sections), "verification.yaml is not in its form: --write-docs"
    assert PAGE.read_text() == render_page(sections), "verification.md is old: --write-docs"


def test_each_claim_has_a_command() -> None:
    claims = [claim for section in read_table() for claim in section["claims"]]
    assert len(claims) > 200
    lacking = [
        each["claim"] for each in claims if not each["run"] or not all(map(PROGRAM.match, each["run"]))
    ]
    assert lacking == []


def test_each_row_has_known_parts_and_cells_of_one_column() -> None:
    for section in read_table():
        assert section.keys() <= {"title", "before", "claims", "after"}
        for claim in section["claims"]:
            assert claim.keys() <= KEYS
            texts = [claim["claim"], *claim["run"], claim.get("seen", ""), claim.get("note", "")]
            assert [text for text in texts if "|" in text.replace("\\|", "") or "\n" in text] == []


@pytest.mark.parametrize("bench", ["bench_chain", "bench_jobs", "bench_provider", "bench_download"])
def test_a_bench_writes_its_figure_beside_its_claim(bench: str, tmp_path: Path) -> None:
    table, page = tmp_path / "verification.yaml", tmp_path / "verification.md"
    table.write_text(TABLE.read_text())
    record_figure(bench, "7 jobs/s", table, page)
    changed = [
        new for new, old in zip(_claims(read_table(table)), _claims(read_table()), strict=True) if new != old
    ]
    assert [(str(row["seen"]).partition(" (")[0], row["date"]) for row in changed] == [
        ("7 jobs/s", time.strftime("%Y-%m-%d"))
    ]
    assert f"python -m tests.bench.{bench}" in str(changed[0]["run"])
    assert "| 7 jobs/s (load " in page.read_text()


def _claims(sections: Sections) -> list[dict[str, object]]:
    return [claim for section in sections for claim in section["claims"]]
