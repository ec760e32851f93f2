"""Outputs: what every job left, by job, with a preview of the one under the cursor."""

from __future__ import annotations

from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.timer import Timer
from textual.widgets import DataTable

from tui.boxscreen import BoxScreen
from tui.dialogs.line import AskLine
from tui.feeds import Feed
from tui.panes import Pane
from tui.screens.jobs.actions import saving
from tui.screens.jobs.view import JobView
from tui.screens.outputs.preview import CidScreen, PreviewPane, PreviewScreen
from tui.tables import LiveTable, Row
from tui.text import short, size

Entry = tuple[str, int | None, dict[str, Any]]


class OutputsPane(Pane):
    """Jobs with results, newest first, their files below them."""

    def __init__(self, title: str, feed: Feed[Any], id: str) -> None:
        super().__init__(title, feed, id=id)
        self.entries: dict[str, Entry] = {}

    def body(self) -> ComposeResult:
        yield LiveTable("result", "size", "type", id="outputs-table")

    def on_mount(self) -> None:
        self.begin(self.query_one(LiveTable))

    def show(self, value: Any) -> None:
        jobs = sorted(value, key=lambda job: -float(job.get("dateCreated") or 0))
        self.entries, rows = {}, []
        for job in jobs:
            listed = job.get("results") or []
            if listed:
                rows += self._of(JobView.of(job), listed)
        self.query_one(LiveTable).show(rows)
        files = sum(index is not None for _, index, _ in self.entries.values())
        self.border_title = f"Outputs: {files} files" if files else "Outputs: none yet"

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
    """Screen 6."""

    NAME = "outputs"
    CSS_PATH = "outputs.tcss"
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
        with Horizontal():
            yield OutputsPane("Outputs", self.box_app.feeds.jobs, id="outputs")
            yield PreviewPane("Preview", id="preview-pane")

    @property
    def entry(self) -> Entry | None:
        row = self.query_one(LiveTable).selected
        return self.query_one(OutputsPane).entries.get(row.key) if row else None

    def on_data_table_row_highlighted(self, _event: DataTable.RowHighlighted) -> None:
        """Nothing is fetched for a cursor that only passes by."""
        if self._soon is not None:
            self._soon.stop()
        self._soon = self.set_timer(0.15, self._look)

    @property
    def waiting(self) -> bool:
        """Whether it waits for the cursor to rest before it fetches."""
        return self._soon is not None

    def _look(self) -> None:
        self._soon = None
        entry = self.entry
        if entry is None or entry[1] is None or self._looked_at == f"{entry[0]} {entry[1]}":
            return
        self._looked_at = f"{entry[0]} {entry[1]}"
        job_id, position, listed = entry[0], entry[1], entry[2]
        app = self.box_app
        source, who = app.source, app.consumer
        self.query_one(PreviewPane).look_at(
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
