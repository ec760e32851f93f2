"""What every screen looks like, in the states in which it can be met."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from textual.pilot import Pilot

from tui.app import BoxApp
from tui.topline import SCREENS

Settle = Callable[[Pilot[None]], Awaitable[None]]
SMALL, USUAL, LARGE = (80, 24), (120, 40), (240, 70)
STATES = ("normal", "empty", "gone")


def _set(recorded: Any, state: str, problem: Exception) -> None:
    if state == "empty":
        recorded.empty()
    if state == "gone":
        recorded.problem = problem


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("screen", SCREENS)
def test_a_screen_at_80_by_24(
    screen: str,
    state: str,
    snap_compare: Any,
    recorded: Any,
    opened: Callable[..., BoxApp],
    settle: Settle,
    gone: Any,
) -> None:
    _set(recorded, state, gone)
    assert snap_compare(opened(screen), terminal_size=SMALL, run_before=settle)


@pytest.mark.parametrize("screen", SCREENS)
def test_a_screen_at_120_by_40(
    screen: str, snap_compare: Any, opened: Callable[..., BoxApp], settle: Settle
) -> None:
    assert snap_compare(opened(screen), terminal_size=USUAL, run_before=settle)


@pytest.mark.parametrize("screen", ["dashboard", "jobs", "permissions"])
def test_a_screen_at_240_by_70(
    screen: str, snap_compare: Any, opened: Callable[..., BoxApp], settle: Settle
) -> None:
    assert snap_compare(opened(screen), terminal_size=LARGE, run_before=settle)


@pytest.mark.parametrize("theme", ["c2d-light", "c2d-high-contrast", "c2d-no-colour"])
def test_the_dashboard_in_other_themes(
    theme: str, snap_compare: Any, opened: Callable[..., BoxApp], settle: Settle
) -> None:
    assert snap_compare(opened("dashboard", theme=theme), terminal_size=SMALL, run_before=settle)


def _after(settle: Settle, *keys: str) -> Settle:
    async def press(pilot: Pilot[None]) -> None:
        await settle(pilot)
        for key in keys:
            await pilot.press(key)
            await settle(pilot)

    return press


@pytest.mark.parametrize(
    ("name", "screen", "keys"),
    [
        ("job", "jobs", ("down", "enter")),
        ("stop", "jobs", ("x",)),
        ("asset", "assets", ("enter",)),
        ("publish", "assets", ("n",)),
        ("permit", "permissions", ("j", "enter")),
        ("help", "jobs", ("question_mark",)),
        ("command_line", "jobs", ("colon",)),
        ("filtered", "assets", ("slash", "p", "a", "t")),
    ],
)
def test_what_a_key_opens(
    name: str,
    screen: str,
    keys: tuple[str, ...],
    snap_compare: Any,
    opened: Callable[..., BoxApp],
    settle: Settle,
) -> None:
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
