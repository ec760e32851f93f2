"""The outputs screen: results by job, with a preview of the one under the cursor.

The list is the jobs' own list of results; a result's bytes are fetched only when the cursor rests on it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.timer import Timer
from textual.widgets import DataTable

from tui.backend.port import Ddo
from tui.dialogs.line import AskLine
from tui.live.feed import Feed
from tui.screens.jobs.actions import save_action
from tui.screens.jobs.view import JobView
from tui.screens.outputs.preview import CidScreen, PreviewPane, PreviewScreen
from tui.screens.outputs.summary import outputs_summary
from tui.widgets.base_screen import BoxScreen
from tui.widgets.live_table import LiveTable, TableRow
from tui.widgets.pane import ListChanged, Pane
from tui.widgets.text import short_id, size_text

if TYPE_CHECKING:
    from c2d_box.client import JobDetails

# Job id, index of the result (None for the job's own row), and the result as the Provider lists it.
Entry = tuple[str, int | None, Mapping[str, Any]]


class OutputsPane(Pane):
    """Jobs with results, newest first, their files below them."""

    def __init__(self, title: str, feed: Feed[list[JobDetails]], assets: Feed[list[Ddo]], id: str) -> None:
        super().__init__(title, feed, assets, id=id)
        self.entries: dict[str, Entry] = {}
        self.jobs: dict[str, JobDetails] = {}

    def compose_body(self) -> ComposeResult:
        yield LiveTable("result", "size", "type", id="outputs-table")

    def on_mount(self) -> None:
        self.focus_first(self.query_one(LiveTable))

    async def take_feed(self, feed: Feed[Any]) -> None:
        """Draw a changed list of jobs. Changed names of assets concern the summary only, not the table."""
        if feed is self.feeds[0]:
            await super().take_feed(feed)
        else:  # names of assets, for the job under the cursor
            self.post_message(ListChanged())

    def show_value(self, value: Any) -> None:
        """List the jobs that left results; the key of a file's row is ``job index``."""
        jobs = sorted(value, key=lambda job: -job.created)
        self.entries, self.jobs, rows = {}, {job.id: job for job in jobs}, []
        for job in jobs:
            if job.results:
                rows += self._job_rows(JobView.from_job(job), job.results)
        self.query_one(LiveTable).show_rows(rows)
        files = sum(index is not None for _, index, _ in self.entries.values())
        self.border_title = f"Outputs: {files} files" if files else "Outputs: none yet"
        self.post_message(ListChanged())

    def _job_rows(self, view: JobView, listed: Sequence[Mapping[str, Any]]) -> list[TableRow]:
        """Return a job's row and, below it, one for each of its results; notes each row's entry."""
        self.entries[view.id] = (view.id, None, {})
        rows = [
            TableRow(
                view.id, (f"{view.state_mark} {short_id(view.id)}", "", view.state_text), view.state_tone
            )
        ]
        for index, entry in enumerate(listed):
            branch = "└" if index == len(listed) - 1 else "├"
            key = f"{view.id} {index}"
            # The index is the Provider's, by which the result is fetched.
            self.entries[key] = (view.id, index, entry)
            rows.append(
                TableRow(
                    key,
                    (f"  {branch} {entry['filename']}", size_text(entry.get("filesize")), str(entry["type"])),
                )
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

    def compose_body(self) -> ComposeResult:
        feeds = self.box_app.feeds
        with Horizontal():
            yield OutputsPane("Outputs", feeds.jobs, feeds.assets, id="outputs")
            yield PreviewPane("Preview", id="preview-pane")

    @property
    def pointed_entry(self) -> Entry | None:
        """The entry under the cursor: a result, or a job where its index is None."""
        row = self.query_one(LiveTable).selected_row
        return self.query_one(OutputsPane).entries.get(row.key) if row else None

    def on_data_table_row_highlighted(self, _event: DataTable.RowHighlighted) -> None:
        """Fetch a preview only after the cursor has rested on the row for 0.15 s."""
        self._look_soon()

    def on_list_changed(self) -> None:
        """Fetch when the list arrives: its first row is under the cursor without a key press."""
        self._look_soon()

    def _look_soon(self) -> None:
        """Schedule a look at the row under the cursor; one that was scheduled before is put off."""
        if self._soon is not None:
            self._soon.stop()
        self._soon = self.set_timer(0.15, self._show_pointed)

    @property
    def is_waiting(self) -> bool:
        """True while a preview is scheduled for when the cursor rests."""
        return self._soon is not None

    def _show_pointed(self) -> None:
        """Show the result under the cursor, or the summary of the job."""
        self._soon = None
        entry, pane, app = self.pointed_entry, self.query_one(PreviewPane), self.box_app
        # The list is drawn anew with every change of any job; the same file must not be fetched again for
        # that.
        before, self._looked_at = self._looked_at, "" if entry is None else f"{entry[0]} {entry[1]}"
        if entry is None:
            return
        job_id, position, listed = entry
        # The job's own row: a summary, which needs no fetch.
        if position is None:
            job = self.query_one(OutputsPane).jobs[job_id]
            pane.show_text(f"Job {short_id(job_id)}", outputs_summary(job, app.feeds.asset_names))
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
        """Open a result on the whole screen; a job's own row has nothing more to show."""
        entry = self.pointed_entry
        if entry is not None and entry[1] is not None:
            self.app.push_screen(PreviewScreen(entry[0], entry[1], entry[2]))

    def action_save(self) -> None:
        """Save the result under the cursor, or on a job's own row all of its results."""
        if self.pointed_entry is not None:
            self.box_app.perform_action(
                save_action(self.box_app, self.pointed_entry[0], self.pointed_entry[1])
            )

    def action_as_command(self) -> None:
        if self.pointed_entry is not None:
            self.box_app.copy_command(f"results {self.pointed_entry[0]}")

    def action_read(self) -> None:
        """Give the focus to the preview, so that it can be scrolled."""
        self.query_one(PreviewPane).scroll_widget.focus()

    def action_open_cid(self) -> None:
        """Ask for a CID and show its content; a box that keeps results in IPFS names theirs by it."""
        self.app.push_screen(AskLine("CID", "Qm… or bafy…, with a path or not"), self._open_cid)

    def _open_cid(self, cid: str | None) -> None:
        if cid:
            self.app.push_screen(CidScreen(cid))
