"""Reading what is there: matches in logs, what a job left; and asking for results only one can read."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from textual.widgets import Static

from tests.tui.key_steps import Settle, press_keys, wait_until
from tui.app import BoxApp
from tui.dialogs.action import ActionDialog
from tui.screens.jobs.widgets import JobLogPane
from tui.widgets.log_view import LogView

Open = Callable[..., BoxApp]
SIZE = (100, 30)


def _odd(recorded: Any) -> None:
    lines = [f"line {n} {'odd' if n % 30 == 17 else ''}" for n in range(200)]
    recorded.log_lines = {"provider": lines}


async def test_matches_are_gone_through_among_all_lines(opened: Open, settle: Settle, recorded: Any) -> None:
    """n and N as in a pager; lines that come move nothing."""
    _odd(recorded)
    app = opened("logs")
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        view = app.screen.query_one(LogView)
        await press_keys(pilot, settle, "slash", "o", "d", "d", "enter")
        assert len(view.shown_lines) == 7
        places = []
        for key in ("n", "n", "N", "n", "n"):
            await press_keys(pilot, settle, key)
            places.append(view.found)
        assert (places, len(view.shown_lines)) == ([17, 47, 17, 47, 77], 200)
        assert view.scroll_offset.y == 77 - view.ABOVE
        recorded.log_lines["provider"].append("line 200 odd")
        await press_keys(pilot, settle, "r")
        await wait_until(pilot, lambda: len(view.lines) == 201)
        assert (view.found, view.scroll_offset.y, view.following) == (77, 77 - view.ABOVE, False)
        await press_keys(pilot, settle, *"nnnnnn")
        assert view.found == 200, "the last one is not left"


async def test_the_filter_comes_back_and_without_one_there_are_no_matches(
    opened: Open, settle: Settle, recorded: Any
) -> None:
    _odd(recorded)
    app = opened("logs")
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        view = app.screen.query_one(LogView)
        await press_keys(pilot, settle, "slash", "o", "d", "d", "enter", "n", "f")
        assert (view.found is None, len(view.shown_lines), view.following) == (True, 7, True)
        await press_keys(pilot, settle, "escape", "N", "n")
        assert (view.found is None, len(view.shown_lines)) == (True, 200)


async def test_a_job_under_the_cursor_says_what_it_left(opened: Open, settle: Settle) -> None:
    app = opened("outputs")
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        said = str(app.screen.query_one("#preview-body", Static).render())
        assert "✓ 70 Job finished" in said and "s saves all of them" in said


async def test_results_can_be_asked_for_encrypted(opened: Open, settle: Settle, recorded: Any) -> None:
    app = opened("launch")
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        await press_keys(pilot, settle, "e", "s")
        assert isinstance(app.screen, ActionDialog)
        await press_keys(pilot, settle, "y")
        assert app.clipboard.endswith(" --encrypt")
        await press_keys(pilot, settle, "right", "enter")
        await wait_until(pilot, lambda: bool(recorded.done))
        assert (recorded.done[0][0], recorded.done[0][-1]) == ("start", '{"encrypt": true}')


async def test_results_can_be_asked_for_as_an_asset(opened: Open, settle: Settle, recorded: Any) -> None:
    app = opened("launch")
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        await press_keys(pilot, settle, "e", "a", *"mine", "tab", "enter", "down", "enter", "ctrl+s", "s")
        assert isinstance(app.screen, ActionDialog)
        await press_keys(pilot, settle, "y")
        assert app.clipboard.endswith(" --publish mine --free")
        await press_keys(pilot, settle, "right", "enter")
        await wait_until(pilot, lambda: bool(recorded.done))
        assert json.loads(recorded.done[0][-1]) == {"publish": {"name": "mine", "free": True}}


async def test_the_frame_of_a_log_says_its_lines_and_its_age(opened: Open, settle: Settle) -> None:
    app = opened("jobs")
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        await press_keys(pilot, settle, "l")
        pane = app.screen.query_one(JobLogPane)
        pane.tick_second()
        assert str(pane.border_subtitle) == "2 lines · following · now"


async def test_streamed_lines_replace_stored_ones_that_were_answered_first(
    opened: Open, settle: Settle
) -> None:
    app = opened("jobs")
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        await press_keys(pilot, settle, "l")
        pane = app.screen.query_one(JobLogPane)
        pane._streams.clear()
        pane._logs.reading = replace(pane._logs.reading, value={"algorithm": "stored\n"})
        await pane.take_feed(pane._logs)
        assert pane.query_one(LogView).shown_lines == ["── algorithm", "stored"]
        await pane.take_feed(pane._pods)
        await settle(pilot)
        assert len(pane.query_one(LogView).shown_lines) == 2
        assert not any("stored" in line for line in pane.query_one(LogView).shown_lines)
