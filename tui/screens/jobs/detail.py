"""The screen of one job: facts and timeline above; results, logs, pods, events and evidence below, a key
each.
"""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widget import Widget
from textual.widgets import DataTable, TabbedContent, TabPane

from c2d_box.workflow.names import JOBS_NAMESPACE
from tui.screens.cluster.reading import YamlScreen
from tui.screens.cluster.widgets import EventsPane, PodsPane
from tui.screens.jobs.actions import repeat_job, save_action, stop_job
from tui.screens.jobs.view import JobView
from tui.screens.jobs.widgets import (
    EvidencePane,
    ExplainPane,
    FactsPane,
    JobLogPane,
    OnDemandPane,
    ResultsPane,
)
from tui.screens.outputs.preview import PreviewScreen
from tui.widgets.base_screen import BoxScreen
from tui.widgets.live_table import LiveTable
from tui.widgets.log_view import LogView

TABS = {
    "outputs": "o Outputs",
    "logs": "l Logs",
    "pods": "p Pods",
    "events": "e Events",
    "explain": "i Explain",
    "verify": "v Evidence",
}

COMMANDS = {"logs": "job logs", "pods": "pods --job", "explain": "explain", "verify": "verify"}
"""The command of each tab; tabs that are not listed have ``job``."""


class JobScreen(BoxScreen):
    """Shows one job; opened from a list, esc goes back.

    Every tab has a feed of its own, made here, so all of them stop asking when the screen is closed.
    """

    NAME = "jobs"
    FILTER_STAYS = False
    CSS = """
    #facts-pane, #job-tabs { height: 1fr; }
    #job-tabs TabPane { padding: 0; height: 1fr; }
    #job-tabs ContentSwitcher { height: 1fr; }
    #job-tabs Tabs { height: 2; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        *(
            Binding(title[0], f"look('{name}')", title[2:], show=False, id=f"job.{name}")
            for name, title in TABS.items()
        ),
        Binding("s", "save", "Save results", id="job.save"),
        Binding("x", "stop", "Stop", id="job.stop"),
        Binding("a", "again", "Run again", id="job.again"),
        Binding("y,d", "yaml", "WorkFlow", id="job.yaml"),
        Binding("c", "as_command", "As command", id="job.command"),
    ]

    def __init__(self, job_id: str, tab: str = "outputs") -> None:
        super().__init__()
        self.job_id, self._first = job_id, tab

    def compose_body(self) -> ComposeResult:
        """Compose the facts and the tabs. Feeds that several panes share are asked once for all of them."""
        app, job_id = self.box_app, self.job_id
        source, feeds = app.source, app.feeds
        # Seconds between two questions: short for what changes while a job runs, long for what costs more to
        # ask.
        detail = feeds.make_feed("job", lambda: source.read_job(app.consumer, job_id), 1.0)
        logs = feeds.make_feed("job logs", lambda: source.job_logs(app.consumer, job_id), 3.0)
        pods = feeds.make_feed("job pods", lambda: source.pods(job_id), 1.0)
        events = feeds.make_feed("job events", lambda: source.list_events(job_id), 2.0)
        # Explaining and verifying ask several services; these two begin only when their tab is opened.
        explained = feeds.make_feed("explain", lambda: source.explain_job(app.consumer, job_id), 5.0)
        verified = feeds.make_feed("verify", lambda: source.verify_job(app.consumer, job_id), 60.0)
        yield FactsPane(f"Job {job_id}", detail, id="facts-pane")
        with TabbedContent(initial=self._first, id="job-tabs"):
            with TabPane(TABS["outputs"], id="outputs"):
                yield ResultsPane("Results", detail, id="results-pane")
            with TabPane(TABS["logs"], id="logs"):
                yield JobLogPane("Logs", logs, pods, id="log-pane")
            with TabPane(TABS["pods"], id="pods"):
                yield PodsPane("Pods", pods, id="pods-pane")
            with TabPane(TABS["events"], id="events"):
                yield EventsPane("Events", events, id="events-pane")
            with TabPane(TABS["explain"], id="explain"):
                yield ExplainPane("Explain", explained, id="explain-pane")
            with TabPane(TABS["verify"], id="verify"):
                yield EvidencePane("Evidence", verified, id="evidence-pane")

    def on_mount(self) -> None:
        """Show the first tab. The tab bar gets no focus: every tab has a key, and arrows belong to the
        tables.
        """
        self.query_one("Tabs").can_focus = False
        self.call_after_refresh(self.action_look, self._first)

    @property
    def shown_pane(self) -> Widget:
        """The pane of the active tab."""
        tabs = self.query_one(TabbedContent)
        return tabs.get_pane(tabs.active)

    @property
    def active_table(self) -> LiveTable | None:
        """The table of the active tab: hidden tabs hold tables too."""
        return next(iter(self.shown_pane.query(LiveTable)), None)

    def action_look(self, tab: str) -> None:
        """Show a tab and give the focus to what scrolls in it, so that keys work at once."""
        self.query_one(TabbedContent).active = tab
        for pane in self.shown_pane.query(OnDemandPane):
            pane.ask_once()
        target: Widget | None = next(iter(self.shown_pane.query(LogView)), None) or self.active_table
        if target is not None:
            target.focus()

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        """Open what the row stands for: the preview of a result, or the YAML of a pod."""
        if event.data_table.id == "results-table":
            index = int(str(event.row_key.value))
            entry = self.query_one(ResultsPane).listed[index]
            self.app.push_screen(PreviewScreen(self.job_id, index, entry))
        elif event.data_table.id == "pods-table":
            namespace, _, name = str(event.row_key.value).partition("/")
            self.app.push_screen(YamlScreen("pod", namespace, name))

    def find_words(self, words: str) -> None:
        """Filter the tab that is shown, be it a log or a table."""
        for view in self.shown_pane.query(LogView):
            view.filter_lines(words)
        if self.active_table is not None:
            self.active_table.filter_rows(words)

    def leave_filter(self) -> None:
        """Return to what the active tab shows."""
        self.action_look(self.query_one(TabbedContent).active)

    def copied_text(self) -> str:
        """Return what the reader looks at: the visible log lines, the explanation, else the job's id."""
        if isinstance(self.focused, LogView):
            return self.focused.visible_text()
        if self.query_one(TabbedContent).active == "explain":
            return str(self.query_one(ExplainPane).feeds[0].reading.value or "")
        return self.job_id

    def action_stop(self) -> None:
        """Stop the job after a confirmation; before the first answer there is nothing to stop."""
        if self.job_view is not None:
            stop_job(self.box_app, self.job_view)

    def action_again(self) -> None:
        """Start the same job again after a confirmation."""
        if self.job_view is not None:
            repeat_job(self.box_app, self.job_view)

    @property
    def job_view(self) -> JobView | None:
        """The job of the feed's last answer."""
        value = self.query_one(FactsPane).feeds[0].reading.value
        return None if value is None else JobView.from_job(value)

    def action_save(self) -> None:
        """Save all results after a confirmation that names the folder."""
        self.box_app.perform_action(save_action(self.box_app, self.job_id))

    def action_yaml(self) -> None:
        """Show the job's WorkFlow, which has the job's id as its name."""
        self.app.push_screen(YamlScreen("workflow", JOBS_NAMESPACE, self.job_id))

    def action_as_command(self) -> None:
        """Copy the command that prints what the active tab shows."""
        verb = COMMANDS.get(self.query_one(TabbedContent).active, "job")
        self.box_app.copy_command(f"{verb} {self.job_id}")
