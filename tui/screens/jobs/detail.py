"""One job: facts, stages with their seconds, results, logs."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import DataTable

from tui.boxscreen import BoxScreen
from tui.screens.jobs.actions import again, saving, stopping
from tui.screens.jobs.view import JobView
from tui.screens.jobs.widgets import FactsPane, JobLogPane, ResultsPane
from tui.screens.outputs.preview import PreviewScreen
from tui.tables import LiveTable


class JobScreen(BoxScreen):
    """Opened from a list; esc goes back."""

    NAME = "jobs"
    CSS_PATH = "jobs.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "save", "Save results", id="job.save"),
        Binding("x", "stop", "Stop", id="job.stop"),
        Binding("a", "again", "Run again", id="job.again"),
        Binding("c", "as_command", "As command", id="job.command"),
    ]

    def __init__(self, job_id: str) -> None:
        super().__init__()
        self.job_id = job_id

    def body(self) -> ComposeResult:
        app, job_id = self.box_app, self.job_id
        source = app.source
        detail = app.feeds.one("job", lambda: source.job(app.consumer, job_id), 1.0)
        logs = app.feeds.one("job logs", lambda: source.job_logs(app.consumer, job_id), 3.0)
        with Vertical(id="job"):
            yield FactsPane(f"Job {job_id}", detail, id="facts-pane")
            with Horizontal(id="job-left"):
                yield ResultsPane("Results", detail, id="results-pane")
                yield JobLogPane("Logs", logs, id="log-pane")

    def on_mount(self) -> None:
        self.query_one(LiveTable).focus()

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        index = int(str(event.row_key.value))
        entry = self.query_one(ResultsPane).listed[index]
        self.app.push_screen(PreviewScreen(self.job_id, index, entry))

    def copied(self) -> str:
        return self.job_id

    def action_stop(self) -> None:
        if self.view is not None:
            stopping(self.box_app, self.view)

    def action_again(self) -> None:
        if self.view is not None:
            again(self.box_app, self.view)

    @property
    def view(self) -> JobView | None:
        """The job as it was last seen."""
        value = self.query_one(FactsPane).feeds[0].reading.value
        return None if value is None else JobView.of(value)

    def action_save(self) -> None:
        self.box_app.perform(saving(self.box_app, self.job_id))

    def action_as_command(self) -> None:
        self.box_app.copy_command(f"job {self.job_id}")
