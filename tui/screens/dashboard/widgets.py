"""The dashboard's panes: health, next step, last jobs, memory. Three feeds serve the four of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.widgets import Sparkline, Static

from tui.live.feed import Feed
from tui.screens.jobs.view import JobView, job_row
from tui.widgets.live_table import LiveTable, TableRow
from tui.widgets.pane import Pane
from tui.widgets.text import plain_text, size_text

if TYPE_CHECKING:
    from c2d_box.client import JobDetails
    from sandbox.verbs.lifecycle.status import BoxPart, BoxStatus, ResourceReport
    from tui.runtime.app_port import AppPort

# By the states of ``c2d-box status``; other states are on their way and get ◐.
MARKS = {"ready": "✓", "failed": "✗", "backing-off": "✗", "stopped": "○", "absent": "○", "unknown": "?"}
TONES = {"ready": "good", "failed": "bad", "backing-off": "bad", "stopped": "quiet", "absent": "quiet"}


class HealthPane(Pane):
    """Every component and service with its state."""

    def compose_body(self) -> ComposeResult:
        yield LiveTable("part", "state", "restarts", "where", id="parts")

    def show_value(self, status: BoxStatus) -> None:
        """Draw every part; the title counts those that are ready."""
        self.query_one(LiveTable).show_rows(_part_row(part) for part in status.parts)
        ready = sum(part.state == "ready" for part in status.parts)
        self.border_title = f"Health {ready}/{len(status.parts)} ready" if status.parts else "Health"


def _part_row(part: BoxPart) -> TableRow:
    """Return a part's row; a state that the tables do not know counts as one on the way."""
    mark = MARKS.get(part.state, "◐")
    where = part.detail or part.url.removeprefix("http://")
    cells = (f"{mark} {part.name}", part.state, str(part.restarts or ""), where)
    return TableRow(part.name, cells, TONES.get(part.state, "warn"), part.kind)


class NextPane(Pane):
    """The next steps for a newcomer."""

    def show_value(self, status: BoxStatus) -> None:
        """Draw the steps. They come of the state alone, so they are true also while other feeds are away."""
        body = self.query_one(".body", Static)
        body.update(plain_text("\n".join(_next_steps(status, self.box_app))))


def _next_steps(status: BoxStatus, app: AppPort) -> list[str]:
    """Return what a newcomer should do now, in at most three lines; keys are named as the user has bound
    them.
    """
    key = app.key_of
    if status.state in ("absent", "stopped"):
        down = "The box is down." if status.state == "stopped" else "There is no box here yet."
        return [down, "boot it from a shell" if app.read_only else "u  boots it"]
    if status.state == "running":
        return [
            "The box is up.",
            "T  guided tour, 8 steps on this live box",
            f"{key('assets')}  publish   {key('permissions')}  permit   {key('launch')}  launch   "
            f"{key('jobs')}  watch",
        ]
    troubled = [part.name for part in status.parts if part.state != "ready"]
    # Starting, degraded or failed: name what is not ready, and where to look.
    lines = [f"The box is {status.state}.", *([status.detail] if status.detail else [])]
    return [
        *lines,
        f"waiting for {', '.join(troubled[:3])}" if troubled else "",
        f"{key('logs')}  logs   {key('doctor')}  doctor",
    ]


class LastJobsPane(Pane):
    """The newest jobs of the acting account."""

    def compose_body(self) -> ComposeResult:
        yield LiveTable("job", "state", "took", id="recent")

    def show_value(self, value: list[JobDetails]) -> None:
        """Draw the newest jobs, in three of the columns that the jobs screen has."""
        # The jobs screen lists all; twenty rows are more than this pane can show.
        views = sorted(map(JobView.from_job, value), key=lambda view: -view.created)
        rows = [job_row(view, self.box_app.clock()) for view in views[:20]]
        self.query_one(LiveTable).show_rows(
            TableRow(each.key, (each.cells[0], each.cells[1], each.cells[3]), each.tone) for each in rows
        )


class MemoryPane(Pane):
    """The box's memory, now and over the last minutes."""

    def __init__(self, title: str, feed: Feed[ResourceReport], id: str) -> None:
        super().__init__(title, feed, id=id)
        self._history: list[float] = []

    def compose_body(self) -> ComposeResult:
        yield Sparkline([], id="spark")
        yield Static(id="largest", markup=False)

    def show_value(self, report: ResourceReport) -> None:
        """Add a point to the curve, and name the four largest processes."""
        # Sixty answers, five seconds apart: five minutes.
        self._history = [*self._history[-59:], report.total_bytes / 2**20]
        self.query_one(Sparkline).data = self._history
        largest = "  ".join(
            f"{name} {size_text(count)}" for name, count in list(report.by_process.items())[:4]
        )
        self.border_title = f"Memory {size_text(report.total_bytes)}"
        self.query_one("#largest", Static).update(plain_text(largest))
