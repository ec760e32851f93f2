"""What changes a box from its screens: forms, confirmations, runs, and how they end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from textual.widgets import Button, Input

from c2d_box.errors import Refused
from tests.tui.key_steps import Settle, press_keys, wait_until
from tests.tui.recorded_data import RUNNING
from tui.app import BoxApp
from tui.dialogs.action import ActionDialog, Question
from tui.dialogs.form import FormDialog
from tui.dialogs.running import RunDialog
from tui.screens.boot import BootScreen
from tui.screens.launch.widgets import CheckPane
from tui.widgets.live_table import LiveTable

Open = Callable[..., BoxApp]
SIZE = (100, 30)


async def test_a_confirmation_focuses_cancel_and_escape_changes_nothing(
    opened: Open, settle: Settle, recorded: Any
) -> None:
    app = opened("jobs")
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        await press_keys(pilot, settle, "x")
        assert isinstance(app.screen, ActionDialog)
        assert isinstance(app.focused, Button) and app.focused.id == "cancel"
        await press_keys(pilot, settle, "enter")
        assert not isinstance(app.screen, ActionDialog)
        await press_keys(pilot, settle, "x", "escape")
        assert recorded.done == []


async def test_a_job_is_stopped_after_a_yes(opened: Open, settle: Settle, recorded: Any) -> None:
    app = opened("jobs")
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        await press_keys(pilot, settle, "x", "right", "enter")
        await wait_until(pilot, lambda: bool(recorded.done))
        assert recorded.done == [("stop", "consumer", RUNNING)]
        assert isinstance(app.screen, RunDialog)
        await press_keys(pilot, settle, "escape")
        assert app.current_mode == "jobs" and len(app.screen_stack) == 1


async def test_a_job_that_ended_is_not_stopped(opened: Open, settle: Settle) -> None:
    app = opened("jobs")
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        await press_keys(pilot, settle, "j", "x")
        assert not isinstance(app.screen, ActionDialog)


async def test_read_only_offers_the_command_and_nothing_else(
    opened: Open, settle: Settle, recorded: Any
) -> None:
    app = opened("jobs", read_only=True)
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        await press_keys(pilot, settle, "x")
        assert app.screen.query_one("#proceed", Button).disabled
        await press_keys(pilot, settle, "y")
        assert app.clipboard == f"c2d-box stop {RUNNING}"
        await press_keys(pilot, settle, "right", "enter")
        assert recorded.done == []


async def test_a_dataset_is_published_through_the_form(
    opened: Open, settle: Settle, recorded: Any, tmp_path: Path
) -> None:
    file = tmp_path / "cells.csv"
    file.write_text("a,b\n")
    app = opened("assets")
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        await press_keys(pilot, settle, "n", "ctrl+s")
        assert isinstance(app.screen, FormDialog)
        app.screen.query_one("#source", Input).value = str(file)
        app.screen.query_one("#price", Input).value = "2"
        await press_keys(pilot, settle, "ctrl+s")
        assert isinstance(app.screen, ActionDialog)
        assert app.screen.wanted.command == (
            f"c2d-box publish dataset {file} --name cells.csv --price 2 --type compute"
        )
        await press_keys(pilot, settle, "right", "enter")
        await wait_until(pilot, lambda: bool(recorded.done))
        assert recorded.done == [("publish_dataset", "publisher", str(file), "cells.csv", "2", "compute")]


async def test_a_denied_pair_is_permitted_and_an_allowed_one_revoked(
    opened: Open, settle: Settle, recorded: Any
) -> None:
    app = opened("permissions")
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        await press_keys(pilot, settle, "enter", "right", "enter")
        await wait_until(pilot, lambda: len(recorded.done) == 1)
        await press_keys(pilot, settle, "escape", "j", "enter", "right", "enter")
        await wait_until(pilot, lambda: len(recorded.done) == 2)
        assert [words[0] for words in recorded.done] == ["revoke", "permit"]


async def test_a_form_is_filled_from_its_first_field_on(opened: Open, settle: Settle, recorded: Any) -> None:
    app = opened("assets")
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        await press_keys(pilot, settle, "n", "a", "tab", "b")
        assert isinstance(app.screen, FormDialog)
        assert (app.screen.field_values["source"], app.screen.field_values["title"]) == ("a", "b")


async def test_a_refusal_is_named_before_anything_is_paid(
    opened: Open, settle: Settle, recorded: Any
) -> None:
    app = opened("launch")
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        await press_keys(pilot, settle, "j")
        check = app.screen.query_one(CheckPane)
        await wait_until(pilot, lambda: check.last_check is not None and check.last_check.refusal is not None)
        await press_keys(pilot, settle, "s")
        assert not isinstance(app.screen, ActionDialog)
        assert recorded.done == []


async def test_a_job_is_launched_after_its_price_was_shown(
    opened: Open, settle: Settle, recorded: Any
) -> None:
    app = opened("launch")
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        check = app.screen.query_one(CheckPane)
        await wait_until(pilot, lambda: check.last_check is not None)
        await press_keys(pilot, settle, "s")
        assert isinstance(app.screen, ActionDialog)
        assert app.screen.wanted.losses == ("4 OCEAN are paid and do not come back",)
        await press_keys(pilot, settle, "right", "enter")
        await wait_until(pilot, lambda: bool(recorded.done))
        assert recorded.done[0][:2] == ("start", "consumer")
        (most,) = recorded.spending.most
        assert most.endswith(":OCEAN") and 4 < float(most.removesuffix(":OCEAN")) < 4.1, "what was shown"


async def test_jobs_points_at_the_job_that_was_launched(opened: Open, settle: Settle, recorded: Any) -> None:
    app = opened("jobs")
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        await press_keys(pilot, settle, "j", "5")
        check = app.screen.query_one(CheckPane)
        await wait_until(pilot, lambda: check.last_check is not None)
        await press_keys(pilot, settle, "s", "right", "enter")
        await wait_until(pilot, lambda: bool(recorded.done) and not app.runner.runs)
        await press_keys(pilot, settle, "escape", "2")
        row = app.screen.query_one(LiveTable).selected_row
        assert row is not None and row.key == RUNNING
        assert "Train a classifier" in row.cells


async def test_a_refused_verb_shows_its_code_and_next_step(
    opened: Open, settle: Settle, recorded: Any
) -> None:
    recorded.refusal = Refused("C2D-NO", "not like this", "do it so")
    app = opened("jobs")
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        await press_keys(pilot, settle, "x", "right", "enter")
        shown = app.screen
        assert isinstance(shown, RunDialog)
        await wait_until(pilot, lambda: shown.run.over)
        assert shown.run.problem is recorded.refusal


async def test_leaving_the_dialog_does_not_stop_the_verb(opened: Open, settle: Settle, recorded: Any) -> None:
    recorded.hold.clear()
    app = opened("jobs")
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        await press_keys(pilot, settle, "x", "right", "enter", "escape")
        assert len(app.screen_stack) == 1
        recorded.hold.set()
        await wait_until(pilot, lambda: bool(recorded.done) and not app.runner.runs)


async def test_leaving_while_a_verb_is_under_way_asks_first(
    opened: Open, settle: Settle, recorded: Any
) -> None:
    recorded.hold.clear()
    app = opened("jobs")
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        await press_keys(pilot, settle, "x", "right", "enter", "escape", "q")
        assert isinstance(app.screen, Question)
        await press_keys(pilot, settle, "enter")
        assert app.is_running and not isinstance(app.screen, Question)
        recorded.hold.set()
        await wait_until(pilot, lambda: not app.runner.runs)
        await pilot.press("q")
        await wait_until(pilot, lambda: not app.is_running)


async def test_a_box_that_is_down_is_booted_by_keys_and_the_verb_may_ask(
    opened: Open, settle: Settle, recorded: Any
) -> None:
    recorded.state = "absent"
    app = opened()
    async with app.run_test(size=SIZE) as pilot:
        await wait_until(pilot, lambda: isinstance(app.screen, BootScreen))
        await press_keys(pilot, settle, "enter", "right", "enter")
        await wait_until(pilot, lambda: isinstance(app.screen, Question))
        await press_keys(pilot, settle, "right", "enter")
        await wait_until(pilot, lambda: ("up",) in recorded.done and len(app.screen_stack) == 1)
