"""What keys do: by pilot, over the recorded box."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.widgets import Input

from tests.tui.key_steps import Settle, press_keys, wait_until
from tests.tui.recorded_data import DONE, NOW, RUNNING
from tui.app import BoxApp
from tui.runtime.screen_table import SCREENS
from tui.screens.jobs.widgets import JobsPane
from tui.screens.launch.widgets import CheckPane
from tui.widgets.live_table import LiveTable, TableRow

Open = Callable[..., BoxApp]
SIZE = (100, 30)


async def test_number_keys_show_every_screen(opened: Open, settle: Settle) -> None:
    app = opened()
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        for name, entry in SCREENS.items():
            await press_keys(pilot, settle, entry.key)
            assert app.current_mode == name


async def test_a_big_y_copies_the_id_and_c_the_command(opened: Open, settle: Settle) -> None:
    app = opened("jobs", who="consumer2")
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        await press_keys(pilot, settle, "j", "Y")
        assert app.clipboard == DONE
        await press_keys(pilot, settle, "c")
        assert app.clipboard == "c2d-box --as consumer2 jobs"


async def test_the_filter_narrows_is_remembered_and_escape_clears_it(opened: Open, settle: Settle) -> None:
    app = opened("jobs")
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        await press_keys(pilot, settle, "slash", "f", "a", "i", "l", "enter")
        table = app.screen.query_one(LiveTable)
        assert table.shown_counts == (1, 3) and app.focused is table
        assert app.memory.filters == {"jobs": "fail"}
        await press_keys(pilot, settle, "escape")
        assert table.shown_counts == (3, 3)


async def test_the_cursor_stays_on_its_job_when_a_newer_one_comes(
    opened: Open, settle: Settle, recorded: Any
) -> None:
    app = opened("jobs")
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        await press_keys(pilot, settle, "j")
        table = app.screen.query_one(LiveTable)
        newer = {**recorded.job_list[0], "jobId": "9" * 32, "dateCreated": "1799999999.0"}
        recorded.job_list.insert(0, newer)
        await press_keys(pilot, settle, "r")
        await wait_until(pilot, lambda: table.row_count == 4)
        assert table.selected_row is not None and table.selected_row.key == DONE
        assert [str(key.value)[0] for key in (row.key for row in table.ordered_rows)] == list("9123")


async def test_what_was_known_stays_when_the_source_goes(
    opened: Open, settle: Settle, recorded: Any, gone: Exception
) -> None:
    app = opened("jobs")
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        recorded.problem = gone
        await press_keys(pilot, settle, "r")
        pane = app.screen.query_one("#jobs")
        await wait_until(pilot, lambda: pane.has_class("-gone"))
        assert app.screen.query_one(LiveTable).row_count == 3
        assert "last seen now" in str(pane.border_subtitle)
        recorded.problem = None
        await press_keys(pilot, settle, "r")
        await wait_until(pilot, lambda: not pane.has_class("-gone"))


async def test_enter_opens_a_job_and_escape_goes_back(opened: Open, settle: Settle) -> None:
    app = opened("jobs")
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        await press_keys(pilot, settle, "enter")
        assert getattr(app.screen, "job_id", "") == RUNNING
        await press_keys(pilot, settle, "1", "2")
        assert getattr(app.screen, "job_id", "") == RUNNING
        await press_keys(pilot, settle, "escape")
        assert len(app.screen_stack) == 1


async def test_the_matrix_has_names_whichever_feed_answers_first(
    opened: Open, settle: Settle, recorded: Any
) -> None:
    known, held = recorded.assets, threading.Event()
    recorded.assets = lambda: (held.wait(10), known())[1]
    app = opened("permissions")
    async with app.run_test(size=SIZE) as pilot:
        await wait_until(pilot, lambda: bool(app.screen.query(LiveTable)))
        held.set()
        await settle(pilot)
        titles = [str(column.label) for column in app.screen.query_one(LiveTable).ordered_columns]
    assert titles == ["dataset", "ƒ Train a classifier"]


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
        await wait_until(pilot, lambda: bool(check.last_check))


async def test_a_table_that_comes_up_late_does_not_take_the_keys_from_the_filter(
    opened: Open, settle: Settle
) -> None:
    app = opened("jobs")
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        await press_keys(pilot, settle, "slash")
        pane = app.screen.query_one(JobsPane)
        pane.focus_first(pane.query_one(LiveTable))
        await settle(pilot)
        assert isinstance(app.focused, Input)
        await press_keys(pilot, settle, "1", "enter")
        assert isinstance(app.focused, LiveTable)


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
        app.screen.query_one(JobsPane).tick_second()
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
        row = TableRow(key, ("a", "a much longer state than before", "b", "c", "d", "e"))
        table.renew_row(row)
        assert state.content_width == len(row.cells[1]) > narrow
        table.renew_row(TableRow(key, ("a", "b", "b", "c", "d", "e")))
        assert state.content_width == len(row.cells[1])
        assert table.get_cell(key, "state").plain == "b"


async def test_the_command_line_knows_screens_accounts_and_themes(opened: Open, settle: Settle) -> None:
    app = opened()
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        for said in ("assets", "as consumer2", "theme light"):
            await press_keys(pilot, settle, "colon")
            app.screen.query_one(Input).value = said
            await press_keys(pilot, settle, "enter")
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
        await press_keys(pilot, settle, "g")
        recorded.log_lines["provider"].append("line 100")
        await press_keys(pilot, settle, "r")
        await wait_until(pilot, lambda: len(view.lines) == 101)
        assert (view.scroll_offset.y, view.following, view.unread) == (0, False, 1)
        await press_keys(pilot, settle, "f")
        assert view.following and view.scroll_offset.y == view.max_scroll_y


async def test_screen_theme_and_filters_are_there_again(opened: Open, settle: Settle, tmp_path: Path) -> None:
    file = tmp_path / "tui.json"
    file.write_text(json.dumps({"screen": "doctor", "theme": "c2d-light", "keys": {"screen.jobs": "f2"}}))
    app = opened("", memory_file=file)
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        assert (app.current_mode, app.theme) == ("doctor", "c2d-light")
        await press_keys(pilot, settle, "f2")
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
        "import sys, tui.app, tui.backend.box_backend, tui.entry, tui.screens.dashboard.screen;"
        "print([m for m in ('web3', 'kubernetes', 'httpx', 'pydantic', 'eth_account') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
