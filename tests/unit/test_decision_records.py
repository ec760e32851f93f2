"""The decision records have one shape, and their list names each of them once."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "docs" / "adr"
RECORDS = sorted(FOLDER.glob("[0-9]*.md"))
SECTIONS = ["Context", "Decision", "Consequences", "Alternatives"]
HEAD = re.compile(
    r"# (?P<number>\d{4}): (?P<title>\S.*)\n\n"
    r"\* Status: (?:accepted|replaced by \[\d{4}\]\(\d{4}-[a-z0-9-]+\.md\))\n"
    r"\* Date: (?P<date>\d{4}-\d\d-\d\d(?:, extended \d{4}-\d\d-\d\d)?)\n\n"
)


def head_of(record: Path) -> re.Match[str]:
    found = HEAD.match(record.read_text())
    assert found is not None, f"{record.name} begins otherwise than a record"
    return found


def test_numbers_have_no_gap() -> None:
    assert [int(record.name[:4]) for record in RECORDS] == list(range(1, len(RECORDS) + 1))


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.stem)
def test_a_record_has_each_section_with_text(record: Path) -> None:
    assert head_of(record)["number"] == record.name[:4]
    _, *parts = re.split(r"^## ", record.read_text(), flags=re.MULTILINE)
    sections = {name: text for name, _, text in (part.partition("\n") for part in parts)}
    assert list(sections) == SECTIONS
    assert [name for name, text in sections.items() if not text.strip()] == []


def test_the_list_has_each_record_with_its_title_and_date() -> None:
    rows = re.findall(
        r"^\| (\d{4}) \| \[(.+)\]\((.+)\) \| (.+) \|$", (FOLDER / "index.md").read_text(), re.MULTILINE
    )
    heads = {record.name: head_of(record) for record in RECORDS}
    assert rows == [(head["number"], head["title"], name, head["date"]) for name, head in heads.items()]


def test_architecture_links_to_each_record_but_the_first() -> None:
    linked = set(re.findall(r"\]\(adr/(\d[^)#]+)", (FOLDER.parent / "architecture.md").read_text()))
    assert {record.name for record in RECORDS[1:]} - linked == set()
