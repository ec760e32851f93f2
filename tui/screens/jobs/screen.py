"""The jobs screen: all jobs of the acting account, live; enter opens one, ``x`` stops one."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import DataTable

from c2d_box.workflow.names import JOBS_NAMESPACE
from tui.screens.cluster.reading import YamlScreen
from tui.screens.jobs.actions import repeat_job, stop_job
from tui.screens.jobs.detail import JobScreen
from tui.screens.jobs.view import JobView
from tui.screens.jobs.widgets import JobsPane
from tui.widgets.base_screen import BoxScreen


class JobsScreen(BoxScreen):
    """The jobs screen. Its keys act on the row under the cursor, and those that change something ask
    first.
    """

    NAME = "jobs"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,d", "open", "Open", id="jobs.open"),
        Binding("y", "yaml", "WorkFlow", show=False, id="jobs.yaml"),
        Binding("x", "stop", "Stop", id="jobs.stop"),
        Binding("l", "logs", "Logs", id="jobs.logs"),
        Binding("a", "again", "Run again", show=False, id="jobs.again"),
        Binding("c", "as_command", "As command", id="jobs.command"),
    ]

    def compose_body(self) -> ComposeResult:
        feeds = self.box_app.feeds
        yield JobsPane("Jobs", feeds.jobs, feeds.assets, id="jobs")

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        """Open the job with enter or a click."""
        self.app.push_screen(JobScreen(str(event.row_key.value)))

    def action_open(self) -> None:
        """Open the job under the cursor with ``d``."""
        if self.active_table is not None and self.active_table.selected_row is not None:
            self.app.push_screen(JobScreen(self.active_table.selected_row.key))

    def action_yaml(self) -> None:
        """Show the WorkFlow of the job under the cursor."""
        if self.active_table is not None and self.active_table.selected_row is not None:
            self.app.push_screen(YamlScreen("workflow", JOBS_NAMESPACE, self.active_table.selected_row.key))

    def action_logs(self) -> None:
        """Open the job at its logs."""
        if self.active_table is not None and self.active_table.selected_row is not None:
            self.app.push_screen(JobScreen(self.active_table.selected_row.key, "logs"))

    @property
    def pointed_job(self) -> JobView | None:
        """The job under the cursor."""
        row = self.active_table.selected_row if self.active_table is not None else None
        known = self.box_app.feeds.jobs.reading.value or ()
        # From the feed's last answer: the row holds texts, actions need the job.
        found = next((job for job in known if row and job.id == row.key), None)
        return None if found is None else JobView.from_job(found)

    def action_stop(self) -> None:
        """Stop the job under the cursor after a confirmation."""
        if self.pointed_job is not None:
            stop_job(self.box_app, self.pointed_job)

    def action_again(self) -> None:
        """Start the job under the cursor again after a confirmation."""
        if self.pointed_job is not None:
            repeat_job(self.box_app, self.pointed_job)

    def action_as_command(self) -> None:
        self.box_app.copy_command("jobs")
