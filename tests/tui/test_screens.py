"""What every screen looks like, in the states in which it can be met."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
from textual.pilot import Pilot

from tests.conftest import sample_cells
from tests.tui.key_steps import Settle
from tui.app import BoxApp
from tui.runtime.screen_table import SCREENS

SMALL, USUAL, LARGE = (80, 24), (120, 40), (240, 70)
SIZES = {"80x24": SMALL, "120x40": USUAL, "240x70": LARGE}
STATES = ("normal", "empty", "many", "gone", "error")
MATRIX = [f"{screen}-{size}-{state}" for screen in SCREENS for size in SIZES for state in STATES]
THEMES = [f"{screen}-{theme}" for screen in SCREENS for theme in ("light", "high-contrast", "no-colour")]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every cell with ``--full``; otherwise others from commit to commit."""
    full, seed = bool(metafunc.config.getoption("--full")), os.environ.get("C2D_TEST_SEED", "0")
    for name, cells, count in (("cell", MATRIX, 14), ("themed", THEMES, 4)):
        if name in metafunc.fixturenames:
            metafunc.parametrize(name, sample_cells(cells, count, seed, full))


def _defect() -> None:
    raise RuntimeError("a surprise")


def _set(recorded: Any, state: str, gone: Exception) -> None:
    if state == "empty":
        recorded.empty()
    elif state == "many":
        recorded.many()
    elif state == "gone":
        recorded.problem = gone
    elif state == "error":
        recorded._answer = _defect


def test_a_screen(
    cell: str, snap_compare: Any, recorded: Any, opened: Callable[..., BoxApp], settle: Settle, gone: Any
) -> None:
    """Each screen at three sizes: normal, empty, 5,000 rows, its source gone, a defect."""
    screen, size, state = cell.split("-")
    _set(recorded, state, gone)
    assert snap_compare(opened(screen), terminal_size=SIZES[size], run_before=settle)


def test_a_screen_in_another_theme(
    themed: str, snap_compare: Any, opened: Callable[..., BoxApp], settle: Settle
) -> None:
    screen, _, theme = themed.partition("-")
    assert snap_compare(opened(screen, theme=f"c2d-{theme}"), terminal_size=SMALL, run_before=settle)


def _after(settle: Settle, *keys: str) -> Settle:
    async def press(pilot: Pilot[None]) -> None:
        await settle(pilot)
        for key in keys:
            await pilot.press(key)
            await settle(pilot)

    return press


OPENED = {
    "stop": ("jobs", ("x",)),
    "permit": ("permissions", ("j", "enter")),
    "filtered": ("assets", ("slash", "p", "a", "t")),
    "job_logs": ("jobs", ("l",)),
    "trust": ("permissions", ("t",)),
    "simulate": ("permissions", ("i",)),
    "blocks": ("chain", ("b",)),
    "tour": ("dashboard", ("T",)),
    "job": ("jobs", ("down", "enter")),
    "job_pods": ("jobs", ("enter", "p")),
    "job_explained": ("jobs", ("down", "enter", "i")),
    "job_evidence": ("jobs", ("down", "enter", "v")),
    "asset": ("assets", ("enter",)),
    "publish": ("assets", ("n",)),
    "end": ("assets", ("x",)),
    "command_line": ("jobs", ("colon",)),
    "json": ("outputs", ("down",)),
    "faucet": ("accounts", ("f",)),
    "yaml": ("cluster", ("y",)),
    "edit": ("assets", ("e",)),
    "parameters": ("launch", ("p",)),
    "script": ("launch", ("n",)),
    "results": ("launch", ("a",)),
    "help": ("jobs", ("question_mark",)),
}


@pytest.mark.parametrize("name", OPENED)
def test_what_a_key_opens(
    name: str, snap_compare: Any, opened: Callable[..., BoxApp], settle: Settle
) -> None:
    screen, keys = OPENED[name]
    assert snap_compare(opened(screen), terminal_size=SMALL, run_before=_after(settle, *keys))


def test_stopping_a_job_in_read_only_mode(
    snap_compare: Any, opened: Callable[..., BoxApp], settle: Settle
) -> None:
    app = opened("jobs", read_only=True)
    assert snap_compare(app, terminal_size=SMALL, run_before=_after(settle, "x"))


def test_a_box_that_is_down(
    snap_compare: Any, recorded: Any, opened: Callable[..., BoxApp], settle: Settle
) -> None:
    recorded.state = "stopped"
    assert snap_compare(opened(), terminal_size=SMALL, run_before=_after(settle))


@pytest.mark.parametrize("size", [SMALL, USUAL])
def test_a_box_that_boots(
    size: tuple[int, int], snap_compare: Any, recorded: Any, opened: Callable[..., BoxApp], settle: Settle
) -> None:
    recorded.state = "stopped"
    recorded.hold.clear()
    boots = _after(settle, "enter", "right", "enter")
    assert snap_compare(opened(), terminal_size=size, run_before=boots)
    recorded.hold.set()


def test_a_boot_that_fails(
    snap_compare: Any, recorded: Any, opened: Callable[..., BoxApp], settle: Settle
) -> None:
    recorded.state, recorded.boot_fails = "stopped", True
    boots = _after(settle, "enter", "right", "enter")
    assert snap_compare(opened(), terminal_size=SMALL, run_before=boots)
