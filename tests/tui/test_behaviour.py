"""What keys do: by pilot, over the recorded box."""

from __future__ import annotations

import json
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Button, Input

from c2d_box.errors import Refused
from tui.app import BoxApp
from tui.dialogs.action import ActionDialog, Question
from tui.dialogs.form import FormDialog
from tui.dialogs.running import RunDialog
from tui.screens.boot.screen import BootScreen
from tui.screens.jobs.widgets import JobsPane
from tui.screens.launch.widgets import CheckPane
from tui.widgets.header import KEYS, NAMES, SCREENS
from tui.widgets.live_table import LiveTable, Row

Open = Callable[..., BoxApp]
Settle = Callable[[Pilot[None]], Awaitable[None]]
SIZE = (100, 30)
RUNNING, DONE = "1" * 32, "2" * 32
NOW = 1_800_000_000.0


async def _press(pilot: Pilot[None], settle: Settle, *keys: str) -> None:
    for key in keys:
        await pilot.press(key)
        await settle(pilot)


async def _until(pilot: Pilot[None], true: Callable[[], bool]) -> None:
    for _ in range(200):
        if true():
            return
        await pilot.pause(0.02)
    raise AssertionError("it did not come true")


async def test_number_keys_show_every_screen(opened: Open, settle: Settle) -> None:
    app = opened()
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        for key, name in zip(KEYS, SCREENS, strict=True):
            await _press(pilot, settle, NAMES.get(key, key))
            assert app.current_mode == name


def test_the_header_has_room_for_the_titles_of_all_screens() -> None:
    line = " ".join(key + title for key, title in zip(KEYS, SCREENS.values(), strict=True))
    assert len(line) <= 80 - 2, "a terminal of 80 columns, less the padding"


async def test_a_confirmation_focuses_cancel_and_escape_changes_nothing(
    opened: Open, settle: Settle, recorded: Any
) -> None:
    app = opened("jobs")
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        await _press(pilot, settle, "x")
        assert isinstance(app.screen, ActionDialog)
        assert isinstance(app.focused, Button) and app.focused.id == "cancel"
        await _press(pilot, settle, "enter")
        assert not isinstance(app.screen, ActionDialog)
        await _press(pilot, settle, "x", "escape")
        assert recorded.done == []


async def test_a_job_is_stopped_after_a_yes(opened: Open, settle: Settle, recorded: Any) -> None:
    app = opened("jobs")
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        await _press(pilot, settle, "x", "right", "enter")
        await _until(pilot, lambda: bool(recorded.done))
        assert recorded.done == [("stop", "consumer", RUNNING)]
        assert isinstance(app.screen, RunDialog)
        await _press(pilot, settle, "escape")
        assert app.current_mode == "jobs" and len(app.screen_stack) == 1


async def test_a_job_that_ended_is_not_stopped(opened: Open, settle: Settle) -> None:
    app = opened("jobs")
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        await _press(pilot, settle, "j", "x")
        assert not isinstance(app.screen, ActionDialog)


async def test_read_only_offers_the_command_and_nothing_else(
    opened: Open, settle: Settle, recorded: Any
) -> None:
    app = opened("jobs", read_only=True)
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        await _press(pilot, settle, "x")
        assert app.screen.query_one("#proceed", Button).disabled
        await _press(pilot, settle, "y")
        assert app.clipboard == f"c2d-box stop {RUNNING}"
        await _press(pilot, settle, "right", "enter")
        assert recorded.done == []


async def test_a_big_y_copies_the_id_and_c_the_command(opened: Open, settle: Settle) -> None:
    app = opened("jobs", who="consumer2")
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        await _press(pilot, settle, "j", "Y")
        assert app.clipboard == DONE
        await _press(pilot, settle, "c")
        assert app.clipboard == "c2d-box --as consumer2 jobs"


async def test_the_filter_narrows_is_remembered_and_escape_clears_it(opened: Open, settle: Settle) -> None:
    app = opened("jobs")
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        await _press(pilot, settle, "slash", "f", "a", "i", "l", "enter")
        table = app.screen.query_one(LiveTable)
        assert table.counts == (1, 3) and app.focused is table
        assert app.memory.filters == {"jobs": "fail"}
        await _press(pilot, settle, "escape")
        assert table.counts == (3, 3)


async def test_the_cursor_stays_on_its_job_when_a_newer_one_comes(
    opened: Open, settle: Settle, recorded: Any
) -> None:
    app = opened("jobs")
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        await _press(pilot, settle, "j")
        table = app.screen.query_one(LiveTable)
        newer = {**recorded.job_list[0], "jobId": "9" * 32, "dateCreated": "1799999999.0"}
        recorded.job_list.insert(0, newer)
        await _press(pilot, settle, "r")
        await _until(pilot, lambda: table.row_count == 4)
        assert table.selected is not None and table.selected.key == DONE
        assert [str(key.value)[0] for key in (row.key for row in table.ordered_rows)] == list("9123")


async def test_what_was_known_stays_when_the_source_goes(
    opened: Open, settle: Settle, recorded: Any, gone: Exception
) -> None:
    app = opened("jobs")
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        recorded.problem = gone
        await _press(pilot, settle, "r")
        pane = app.screen.query_one("#jobs")
        await _until(pilot, lambda: pane.has_class("-gone"))
        assert app.screen.query_one(LiveTable).row_count == 3
        assert "last seen now" in str(pane.border_subtitle)
        recorded.problem = None
        await _press(pilot, settle, "r")
        await _until(pilot, lambda: not pane.has_class("-gone"))


async def test_enter_opens_a_job_and_escape_goes_back(opened: Open, settle: Settle) -> None:
    app = opened("jobs")
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        await _press(pilot, settle, "enter")
        assert getattr(app.screen, "job_id", "") == RUNNING
        await _press(pilot, settle, "1", "2")
        assert getattr(app.screen, "job_id", "") == RUNNING
        await _press(pilot, settle, "escape")
        assert len(app.screen_stack) == 1


async def test_a_dataset_is_published_through_the_form(
    opened: Open, settle: Settle, recorded: Any, tmp_path: Path
) -> None:
    file = tmp_path / "cells.csv"
    file.write_text("a,b\n")
    app = opened("assets")
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        await _press(pilot, settle, "n", "ctrl+s")
        assert isinstance(app.screen, FormDialog)
        app.screen.query_one("#source", Input).value = str(file)
        app.screen.query_one("#price", Input).value = "2"
        await _press(pilot, settle, "ctrl+s")
        assert isinstance(app.screen, ActionDialog)
        assert app.screen.wanted.command == (
            f"c2d-box publish dataset {file} --name cells.csv --price 2 --type compute"
        )
        await _press(pilot, settle, "right", "enter")
        await _until(pilot, lambda: bool(recorded.done))
        assert recorded.done == [("publish_dataset", "publisher", str(file), "cells.csv", "2", "compute")]


async def test_a_denied_pair_is_permitted_and_an_allowed_one_revoked(
    opened: Open, settle: Settle, recorded: Any
) -> None:
    app = opened("permissions")
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        await _press(pilot, settle, "enter", "right", "enter")
        await _until(pilot, lambda: len(recorded.done) == 1)
        await _press(pilot, settle, "escape", "j", "enter", "right", "enter")
        await _until(pilot, lambda: len(recorded.done) == 2)
        assert [words[0] for words in recorded.done] == ["revoke", "permit"]


async def test_a_form_is_filled_from_its_first_field_on(opened: Open, settle: Settle, recorded: Any) -> None:
    app = opened("assets")
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        await _press(pilot, settle, "n", "a", "tab", "b")
        assert isinstance(app.screen, FormDialog)
        assert (app.screen.values["source"], app.screen.values["title"]) == ("a", "b")


async def test_the_matrix_has_names_whichever_feed_answers_first(
    opened: Open, settle: Settle, recorded: Any
) -> None:
    known, held = recorded.assets, threading.Event()
    recorded.assets = lambda: (held.wait(10), known())[1]
    app = opened("permissions")
    async with app.run_test(size=SIZE) as pilot:
        await _until(pilot, lambda: bool(app.screen.query(LiveTable)))
        held.set()
        await settle(pilot)
        titles = [str(column.label) for column in app.screen.query_one(LiveTable).ordered_columns]
    assert titles == ["dataset", "ƒ Train a classifier"]


async def test_a_refusal_is_named_before_anything_is_paid(
    opened: Open, settle: Settle, recorded: Any
) -> None:
    app = opened("launch")
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        await _press(pilot, settle, "j")
        check = app.screen.query_one(CheckPane)
        await _until(pilot, lambda: check.result is not None and check.result.refusal is not None)
        await _press(pilot, settle, "s")
        assert not isinstance(app.screen, ActionDialog)
        assert recorded.done == []


async def test_a_job_is_launched_after_its_price_was_shown(
    opened: Open, settle: Settle, recorded: Any
) -> None:
    app = opened("launch")
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        check = app.screen.query_one(CheckPane)
        await _until(pilot, lambda: check.result is not None)
        await _press(pilot, settle, "s")
        assert isinstance(app.screen, ActionDialog)
        assert app.screen.wanted.losses == ("4 OCEAN are paid and do not come back",)
        await _press(pilot, settle, "right", "enter")
        await _until(pilot, lambda: bool(recorded.done))
        assert recorded.done[0][:2] == ("start", "consumer")
        (most,) = recorded.spending.most
        assert most.endswith(":OCEAN") and 4 < float(most.removesuffix(":OCEAN")) < 4.1, "what was shown"


async def test_what_is_chosen_is_checked_although_the_assets_come_late(
    opened: Open, settle: Settle, recorded: Any
) -> None:
    there, known = threading.Event(), recorded.assets
    recorded.assets = lambda: there.wait(20) and known()
    app = opened("dashboard")
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        await pilot.press("5")
        await pilot.pause(0.6)
        there.set()
        check = app.screen.query_one(CheckPane)
        await _until(pilot, lambda: bool(check.result))


async def test_a_table_that_comes_up_late_does_not_take_the_keys_from_the_filter(
    opened: Open, settle: Settle
) -> None:
    app = opened("jobs")
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        await _press(pilot, settle, "slash")
        pane = app.screen.query_one(JobsPane)
        pane.begin(pane.query_one(LiveTable))
        await settle(pilot)
        assert isinstance(app.focused, Input)
        await _press(pilot, settle, "1", "enter")
        assert isinstance(app.focused, LiveTable)


async def test_jobs_points_at_the_job_that_was_launched(opened: Open, settle: Settle, recorded: Any) -> None:
    app = opened("jobs")
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        await _press(pilot, settle, "j", "5")
        check = app.screen.query_one(CheckPane)
        await _until(pilot, lambda: check.result is not None)
        await _press(pilot, settle, "s", "right", "enter")
        await _until(pilot, lambda: bool(recorded.done) and not app.runs)
        await _press(pilot, settle, "escape", "2")
        row = app.screen.query_one(LiveTable).selected
        assert row is not None and row.key == RUNNING
        assert "Train a classifier" in row.cells


async def test_the_clock_of_a_running_job_moves_and_nothing_is_asked_for_it(
    opened: Open, settle: Settle, recorded: Any
) -> None:
    now = [NOW]
    recorded.many(60)
    app = opened("jobs")
    app.clock = lambda: now[0]
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        table = app.screen.query_one(LiveTable)
        running = f"{2:032x}"
        before = table.get_cell(running, "took").plain
        now[0] += 3600
        app.screen.query_one(JobsPane).tick()
        assert before != table.get_cell(running, "took").plain == "1 h 0 m"
        drawn = table.render_line(table.header_height + table.get_row_index(running)).text
        assert "1 h 0 m" in drawn and before not in drawn
        unseen = f"{59:032x}"
        assert unseen not in table.in_view
        assert table.get_cell(unseen, "took").plain == "59.0 s"


async def test_a_column_grows_with_its_words_and_does_not_shrink(opened: Open, settle: Settle) -> None:
    app = opened("jobs")
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        table = app.screen.query_one(LiveTable)
        state = table.ordered_columns[1]
        narrow = state.content_width
        key = table.in_view[0]
        row = Row(key, ("a", "a much longer state than before", "b", "c", "d", "e"))
        table.renew(row)
        assert state.content_width == len(row.cells[1]) > narrow
        table.renew(Row(key, ("a", "b", "b", "c", "d", "e")))
        assert state.content_width == len(row.cells[1])
        assert table.get_cell(key, "state").plain == "b"


async def test_a_refused_verb_shows_its_code_and_next_step(
    opened: Open, settle: Settle, recorded: Any
) -> None:
    recorded.refusal = Refused("C2D-NO", "not like this", "do it so")
    app = opened("jobs")
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        await _press(pilot, settle, "x", "right", "enter")
        shown = app.screen
        assert isinstance(shown, RunDialog)
        await _until(pilot, lambda: shown.run.over)
        assert shown.run.problem is recorded.refusal


async def test_leaving_the_dialog_does_not_stop_the_verb(opened: Open, settle: Settle, recorded: Any) -> None:
    recorded.hold.clear()
    app = opened("jobs")
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        await _press(pilot, settle, "x", "right", "enter", "escape")
        assert len(app.screen_stack) == 1
        recorded.hold.set()
        await _until(pilot, lambda: bool(recorded.done) and not app.runs)


async def test_leaving_while_a_verb_is_under_way_asks_first(
    opened: Open, settle: Settle, recorded: Any
) -> None:
    recorded.hold.clear()
    app = opened("jobs")
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        await _press(pilot, settle, "x", "right", "enter", "escape", "q")
        assert isinstance(app.screen, Question)
        await _press(pilot, settle, "enter")
        assert app.is_running and not isinstance(app.screen, Question)
        recorded.hold.set()
        await _until(pilot, lambda: not app.runs)
        await pilot.press("q")
        await _until(pilot, lambda: not app.is_running)


async def test_a_box_that_is_down_is_booted_by_keys_and_the_verb_may_ask(
    opened: Open, settle: Settle, recorded: Any
) -> None:
    recorded.state = "absent"
    app = opened()
    async with app.run_test(size=SIZE) as pilot:
        await _until(pilot, lambda: isinstance(app.screen, BootScreen))
        await _press(pilot, settle, "enter", "right", "enter")
        await _until(pilot, lambda: isinstance(app.screen, Question))
        await _press(pilot, settle, "right", "enter")
        await _until(pilot, lambda: ("up",) in recorded.done and len(app.screen_stack) == 1)


async def test_the_command_line_knows_screens_accounts_and_themes(opened: Open, settle: Settle) -> None:
    app = opened()
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        for said in ("assets", "as consumer2", "theme light"):
            await _press(pilot, settle, "colon")
            app.screen.query_one(Input).value = said
            await _press(pilot, settle, "enter")
        assert (app.current_mode, app.consumer, app.theme) == ("assets", "consumer2", "c2d-light")


async def test_logs_do_not_move_under_a_reader_and_follow_at_the_end(
    opened: Open, settle: Settle, recorded: Any
) -> None:
    from tui.widgets.log_view import LogView

    recorded.log_lines = {"provider": [f"line {n}" for n in range(100)]}
    app = opened("logs")
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        view = app.screen.query_one(LogView)
        assert view.following
        await _press(pilot, settle, "g")
        recorded.log_lines["provider"].append("line 100")
        await _press(pilot, settle, "r")
        await _until(pilot, lambda: len(view.lines) == 101)
        assert (view.scroll_offset.y, view.following, view.unread) == (0, False, 1)
        await _press(pilot, settle, "f")
        assert view.following and view.scroll_offset.y == view.max_scroll_y


async def test_screen_theme_and_filters_are_there_again(opened: Open, settle: Settle, tmp_path: Path) -> None:
    file = tmp_path / "tui.json"
    file.write_text(json.dumps({"screen": "doctor", "theme": "c2d-light", "keys": {"screen.jobs": "f2"}}))
    app = opened("", memory_file=file)
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        assert (app.current_mode, app.theme) == ("doctor", "c2d-light")
        await _press(pilot, settle, "f2")
        assert app.current_mode == "jobs"
    assert json.loads(file.read_text())["screen"] == "jobs"


@pytest.mark.parametrize("text", ["", "[1]", "{", '{"theme": 3}'])
async def test_a_broken_memory_is_no_reason_to_fail(opened: Open, tmp_path: Path, text: str) -> None:
    file = tmp_path / "tui.json"
    file.write_text(text)
    assert opened(memory_file=file).theme == "c2d-dark"


def test_nothing_heavy_is_imported_before_the_first_paint() -> None:
    import subprocess
    import sys

    program = (
        "import sys, tui.app, tui.backend.box_backend, tui.runtime.entry, tui.screens.dashboard.screen;"
        "print([m for m in ('web3', 'kubernetes', 'httpx', 'pydantic', 'eth_account') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
