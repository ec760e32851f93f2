"""The pages of docs that show the screens are what the screens are: ``--write-docs`` writes them."""

from __future__ import annotations

import os
import re
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from textual.pilot import Pilot

from tests.conftest import sample
from tests.tui.bindings import keys
from tests.tui.gallery import PICTURES, Picture
from tui.app import BoxApp

DOCS = Path(__file__).parents[2] / "docs"
FOLDER = DOCS / "screens"
WRITTEN = "Written by `pytest tests/tui/test_docs.py --write-docs --full`; do not edit."
DISPLAYS = {"question_mark": "?", "colon": ":", "slash": "/", "minus": "-"}
DISPLAYS |= {"less_than_sign": "<", "greater_than_sign": ">"}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "picture" in metafunc.fixturenames:
        full, seed = bool(metafunc.config.getoption("--full")), os.environ.get("C2D_TEST_SEED", "0")
        metafunc.parametrize("picture", sample(PICTURES, 2, seed, full), ids=lambda each: each.name)


async def test_a_picture_of_the_gallery(
    picture: Picture,
    opened: Callable[..., BoxApp],
    settle: Callable[[Pilot[None]], Awaitable[None]],
    request: pytest.FixtureRequest,
) -> None:
    app = opened(picture.screen, theme=f"c2d-{picture.theme}")
    app.memory.tour = picture.tour
    async with app.run_test(size=(120, 36)) as pilot:
        await settle(pilot)
        for key in picture.keys:
            await pilot.press(key)
            await settle(pilot)
        drawn = app.export_screenshot(title=f"c2d-box: {picture.name}")
    file = FOLDER / f"{picture.name}.svg"
    if request.config.getoption("--write-docs"):
        FOLDER.mkdir(exist_ok=True)
        file.write_text(drawn)
    assert _words(drawn) == _words(file.read_text()), "the gallery is old: write it again"


def test_the_pages_list_every_picture_and_every_key(request: pytest.FixtureRequest) -> None:
    for file, text in ((DOCS / "screens.md", _gallery()), (DOCS / "keys.md", _keys())):
        if request.config.getoption("--write-docs"):
            file.write_text(text)
        assert file.read_text() == text, f"{file.name} is old: write it again"


def _gallery() -> str:
    parts = [
        f"## {each.name}\n\n{each.text}\n\n![{each.name}](screens/{each.name}.svg)\n" for each in PICTURES
    ]
    return "\n".join([f"# The screens\n\n{WRITTEN}\n", *parts])


def _keys() -> str:
    lines = [
        f"| `{DISPLAYS.get(key.key, key.key)}` | {key.text} | `{key.id}` | {key.where} |" for key in keys()
    ]
    head = (
        f"# Keys\n\n{WRITTEN}\n\n"
        "Any of them can be another one, by id, in `~/.local/state/c2d-box/tui.json`:\n\n"
        '```json\n{"keys": {"screen.jobs": "f2", "jobs.stop": "ctrl+x"}}\n```\n\n'
        "| key | does | id | where |\n|---|---|---|---|\n"
    )
    return head + "\n".join(lines) + "\n"


def _words(svg: str) -> list[str]:
    """What stands in the picture, without the ids that change from run to run."""
    return re.findall(r">([^<>]+)</text>", svg)
