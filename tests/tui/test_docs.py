"""The pages of docs that show the screens and their keys are what they are: ``--write-docs`` writes them."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest

from tests.tui.bindings import bound_keys
from tests.tui.gallery import PICTURES

ROOT = Path(__file__).parents[2]
SHOTS = "tests/tui/__snapshots__/test_screens"
WRITTEN = "Written by `pytest tests/tui/test_docs.py --write-docs`; do not edit."
DISPLAYS = {"question_mark": "?", "colon": ":", "slash": "/", "minus": "-"}
DISPLAYS |= {"less_than_sign": "<", "greater_than_sign": ">"}


@pytest.mark.parametrize("page", ["screens", "keys"])
def test_a_page_is_up_to_date(page: str, request: pytest.FixtureRequest) -> None:
    file, text = ROOT / "docs" / f"{page}.md", _screens() if page == "screens" else _keys()
    if request.config.getoption("--write-docs"):
        file.write_text(text)
    assert file.read_text() == text, f"{file.name} is old: write it again"


def test_every_picture_of_the_gallery_is_there() -> None:
    missing = [each.test for each in PICTURES.values() if not (ROOT / SHOTS / f"{each.test}.svg").exists()]
    assert missing == []


def _screens() -> str:
    parts = [
        f"## {name}\n\n{each.text}\n\n![{name}](../{SHOTS}/{quote(each.test)}.svg)\n"
        for name, each in PICTURES.items()
    ]
    return "\n".join([f"# The screens\n\n{WRITTEN}\n", *parts])


def _keys() -> str:
    lines = [
        f"| `{DISPLAYS.get(key.key, key.key)}` | {key.text} | `{key.id}` | {key.where} |"
        for key in bound_keys()
    ]
    head = (
        f"# Keys\n\n{WRITTEN}\n\n"
        "Any of them can be another one, by id, in `~/.local/state/c2d-box/tui.json`:\n\n"
        '```json\n{"keys": {"screen.jobs": "f2", "jobs.stop": "ctrl+x"}}\n```\n\n'
        "| key | does | id | where |\n|---|---|---|---|\n"
    )
    return head + "\n".join(lines) + "\n"
