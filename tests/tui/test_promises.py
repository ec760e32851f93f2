"""What every screen promises: read-only changes nothing, anything can be had as a command, and the tour waits
where it was left.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.widgets import Button

from tests.conftest import sample_cells
from tests.tui.bindings import bound_keys
from tests.tui.key_steps import Settle, press_keys, wait_until
from tui.app import BoxApp
from tui.dialogs.action import ActionDialog
from tui.widgets.base_screen import BoxScreen
from tui.widgets.tour import TourBar

Open = Callable[..., BoxApp]
SIZE = (120, 40)
CHANGES = {
    "up": ("dashboard", "u"),
    "down": ("dashboard", "D"),
    "stop": ("jobs", "x"),
    "again": ("jobs", "down", "a"),
    "publish": ("assets", "n", "ctrl+s"),
    "end": ("assets", "x"),
    "permit": ("permissions", "enter"),
    "start": ("launch", "s"),
    "save": ("outputs", "s"),
    "faucet": ("accounts", "f", "ctrl+s"),
}
"""The screen and the keys that lead to what changes something."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "change" in metafunc.fixturenames:
        full, seed = bool(metafunc.config.getoption("--full")), os.environ.get("C2D_TEST_SEED", "0")
        metafunc.parametrize("change", sample_cells(sorted(CHANGES), 3, seed, full))


async def test_read_only_changes_nothing(change: str, opened: Open, settle: Settle, recorded: Any) -> None:
    """Each change ends at a dialog that shows its command and cannot be agreed to."""
    screen, *pressed = CHANGES[change]
    app = opened(screen, read_only=True)
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        await press_keys(pilot, settle, *pressed)
        if change != "publish":  # an empty form leads no further
            assert isinstance(app.screen, ActionDialog)
            assert app.screen.query_one("#proceed", Button).disabled
        await press_keys(pilot, settle, "right", "enter", "enter")
        assert (recorded.done, app.runner.runs) == ([], [])


def test_every_screen_can_be_had_as_a_command() -> None:
    with_one = {key.where for key in bound_keys() if key.id.endswith(".command") and key.key == "c"}
    screens = {each for each in _screens(BoxScreen) if each.__module__.startswith("tui.")}
    assert {each.__name__ for each in screens} - with_one == {"BootScreen"}, "booting is a dialog's command"


def _screens(kind: type[Any]) -> set[type[Any]]:
    return {each for child in kind.__subclasses__() for each in (child, *_screens(child))}


async def test_the_tour_is_left_and_taken_up_where_it_was(
    opened: Open, settle: Settle, tmp_path: Path
) -> None:
    """In the same session and, as it is remembered, in another one."""
    file = tmp_path / "tui.json"
    app = opened("dashboard", memory_file=file)
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        await press_keys(pilot, settle, "T", "N", "N", "T")
        assert not app.screen.query_one(TourBar).display
        await press_keys(pilot, settle, "2", "T")
        assert _lesson(app).startswith("3/8")
        await press_keys(pilot, settle, "T")
    again = opened("dashboard", memory_file=file)
    async with again.run_test(size=SIZE) as pilot:
        await settle(pilot)
        assert not again.screen.query_one(TourBar).display
        await press_keys(pilot, settle, "T")
        assert _lesson(again).startswith("3/8")


def _lesson(app: BoxApp) -> str:
    return str(app.screen.query_one(TourBar).render())


async def test_a_lesson_is_over_when_the_thing_was_really_done(
    opened: Open, settle: Settle, recorded: Any
) -> None:
    app = opened("jobs")
    app.memory.tour = 5
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        await wait_until(pilot, lambda: all(feed.answers for feed in _told(app)))
        await settle(pilot)
        recorded.job_list.append({**recorded.job_list[0], "jobId": "9" * 32})
        app.feeds.refresh_feeds("jobs")
        await wait_until(pilot, lambda: app.memory.tour == 6)
        assert _lesson(app).startswith("7/8 Watch")


def _told(app: BoxApp) -> tuple[Any, ...]:
    return app.feeds.assets, app.feeds.permissions, app.feeds.jobs
