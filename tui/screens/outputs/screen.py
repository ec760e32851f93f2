"""The outputs screen: results by job, with a preview of the one under the cursor."""

from __future__ import annotations

from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.timer import Timer
from textual.widgets import DataTable

from tui.backend.port import Ddo, Job
from tui.dialogs.line import AskLine
from tui.live.feed import Feed
from tui.screens.jobs.actions import saving
from tui.screens.jobs.view import JobView
from tui.screens.outputs.preview import CidScreen, PreviewPane, PreviewScreen
from tui.screens.outputs.summary import left
from tui.widgets.base_screen import BoxScreen
from tui.widgets.live_table import LiveTable, Row
from tui.widgets.pane import Listed, Pane
from tui.widgets.text import short, size

Entry = tuple[str, int | None, dict[str, Any]]


class OutputsPane(Pane):
    """Jobs with results, newest first, their files below them."""

    def __init__(self, title: str, feed: Feed[list[Job]], assets: Feed[list[Ddo]], id: str) -> None:
        super().__init__(title, feed, assets, id=id)
        self.entries: dict[str, Entry] = {}
        self.jobs: dict[str, Job] = {}

    def body(self) -> ComposeResult:
        yield LiveTable("result", "size", "type", id="outputs-table")

    def on_mount(self) -> None:
        self.begin(self.query_one(LiveTable))

    async def take(self, feed: Feed[Any]) -> None:
        if feed is self.feeds[0]:
            await super().take(feed)
        else:  # names of assets, for the job under the cursor
            self.post_message(Listed())

    def show(self, value: list[Job]) -> None:
        jobs = sorted(value, key=lambda job: -float(job.get("dateCreated") or 0))
        self.entries, self.jobs, rows = {}, {str(job["jobId"]): job for job in jobs}, []
        for job in jobs:
            listed = job.get("results") or []
            if listed:
                rows += self._of(JobView.of(job), listed)
        self.query_one(LiveTable).show(rows)
        files = sum(index is not None for _, index, _ in self.entries.values())
        self.border_title = f"Outputs: {files} files" if files else "Outputs: none yet"
        self.post_message(Listed())

    def _of(self, view: JobView, listed: list[dict[str, Any]]) -> list[Row]:
        self.entries[view.id] = (view.id, None, {})
        rows = [Row(view.id, (f"{view.mark} {short(view.id)}", "", view.state), view.tone)]
        for index, entry in enumerate(listed):
            branch = "└" if index == len(listed) - 1 else "├"
            key = f"{view.id} {index}"
            self.entries[key] = (view.id, index, entry)
            rows.append(
                Row(key, (f"  {branch} {entry['filename']}", size(entry.get("filesize")), str(entry["type"])))
            )
        return rows


class OutputsScreen(BoxScreen):
    """The outputs screen."""

    NAME = "outputs"
    CSS = """
    #outputs, #preview-pane { width: 1fr; }
    OutputsScreen.-wide #preview-pane { width: 2fr; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "save", "Save", id="outputs.save"),
        Binding("o", "open_cid", "Open CID", id="outputs.cid"),
        Binding("v", "read", "Read on", show=False, id="outputs.read"),
        Binding("c", "as_command", "As command", id="outputs.command"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._soon: Timer | None = None
        self._looked_at = ""

    def body(self) -> ComposeResult:
        feeds = self.box_app.feeds
        with Horizontal():
            yield OutputsPane("Outputs", feeds.jobs, feeds.assets, id="outputs")
            yield PreviewPane("Preview", id="preview-pane")

    @property
    def entry(self) -> Entry | None:
        row = self.query_one(LiveTable).selected
        return self.query_one(OutputsPane).entries.get(row.key) if row else None

    def on_data_table_row_highlighted(self, _event: DataTable.RowHighlighted) -> None:
        """Fetch a preview only after the cursor has rested on the row for 0.15 s."""
        self._look_soon()

    def on_listed(self) -> None:
        """Fetch when the list arrives: its first row is under the cursor without a key press."""
        self._look_soon()

    def _look_soon(self) -> None:
        if self._soon is not None:
            self._soon.stop()
        self._soon = self.set_timer(0.15, self._look)

    @property
    def waiting(self) -> bool:
        """True while a preview is scheduled for when the cursor rests."""
        return self._soon is not None

    def _look(self) -> None:
        self._soon = None
        entry, pane, app = self.entry, self.query_one(PreviewPane), self.box_app
        before, self._looked_at = self._looked_at, "" if entry is None else f"{entry[0]} {entry[1]}"
        if entry is None:
            return
        job_id, position, listed = entry
        if position is None:
            job = self.query_one(OutputsPane).jobs[job_id]
            pane.tell(f"Job {short(job_id)}", left(job, app.names))
            return
        if before == self._looked_at:
            return
        source, who = app.source, app.consumer
        pane.look_at(
            str(listed["filename"]),
            int(listed.get("filesize") or 0),
            lambda: source.read_result(who, job_id, position),
        )

    def on_data_table_row_selected(self, _event: DataTable.RowSelected) -> None:
        entry = self.entry
        if entry is not None and entry[1] is not None:
            self.app.push_screen(PreviewScreen(entry[0], entry[1], entry[2]))

    def action_save(self) -> None:
        if self.entry is not None:
            self.box_app.perform(saving(self.box_app, self.entry[0], self.entry[1]))

    def action_as_command(self) -> None:
        if self.entry is not None:
            self.box_app.copy_command(f"results {self.entry[0]}")

    def action_read(self) -> None:
        self.query_one(PreviewPane).reader.focus()

    def action_open_cid(self) -> None:
        self.app.push_screen(AskLine("CID", "Qm… or bafy…, with a path or not"), self._open)

    def _open(self, cid: str | None) -> None:
        if cid:
            self.app.push_screen(CidScreen(cid))
