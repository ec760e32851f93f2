"""Jobs: all of the acting account, live; enter opens one, ``x`` stops one."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import DataTable

from tui.boxscreen import BoxScreen
from tui.screens.jobs.actions import stopping
from tui.screens.jobs.detail import JobScreen
from tui.screens.jobs.view import JobView
from tui.screens.jobs.widgets import JobsPane


class JobsScreen(BoxScreen):
    """Screen 2."""

    NAME = "jobs"
    CSS_PATH = "jobs.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "Open", id="jobs.open"),
        Binding("x", "stop", "Stop", id="jobs.stop"),
        Binding("l", "open", "Logs", show=False, id="jobs.logs"),
        Binding("c", "as_command", "As command", id="jobs.command"),
    ]

    def body(self) -> ComposeResult:
        yield JobsPane("Jobs", self.box_app.feeds.jobs, id="jobs")

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        self.app.push_screen(JobScreen(str(event.row_key.value)))

    def action_open(self) -> None:
        if self.table is not None and self.table.selected is not None:
            self.app.push_screen(JobScreen(self.table.selected.key))

    def action_stop(self) -> None:
        row = self.table.selected if self.table is not None else None
        found = next(
            (j for j in self.box_app.feeds.jobs.reading.value or () if row and j["jobId"] == row.key), None
        )
        if found is not None:
            stopping(self.box_app, JobView.of(found))

    def action_as_command(self) -> None:
        self.box_app.copy_command("jobs")
