"""Panes about jobs: the table, one job's facts and timeline, its results, its logs, explanation
and evidence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Static

from sandbox.verbs.compute.job_timeline import job_overhead, seconds_by_stage
from tui.backend.port import Ddo
from tui.live.feed import Feed
from tui.screens.cluster.reading import ContainerLogs
from tui.screens.jobs.view import JobView, job_row
from tui.widgets.live_table import LiveTable, TableRow
from tui.widgets.log_view import LogView
from tui.widgets.pane import Pane
from tui.widgets.text import duration_text, plain_text, safe_text, short_id, size_text, utc_text

if TYPE_CHECKING:
    from c2d_box.client import JobDetails
    from c2d_box.client.evidence.verification import EvidenceCheck, JobVerification
    from sandbox.verbs.inspection.pods import PodSummary

# Cells of the bar of the longest stage.
BAR = 24
# None means that a source could not be asked, which is neither agreement nor contradiction.
AGREES = {True: ("✓", "yes", "good"), False: ("✗", "NO", "bad"), None: ("○", "not asked", "quiet")}


class JobsPane(Pane):
    """The table of all jobs, newest first; the feed ``assets`` gives the names of their algorithms."""

    def __init__(self, title: str, feed: Feed[list[JobDetails]], assets: Feed[list[Ddo]], id: str) -> None:
        super().__init__(title, feed, id=id)
        self._assets = assets
        # Per job: the answer, its view and its row, so that unchanged rows need not be worded again.
        self._known: dict[str, tuple[JobDetails, JobView, TableRow]] = {}

    def compose_body(self) -> ComposeResult:
        """Compose the table, and the hint that stands in its place while there are no jobs."""
        yield LiveTable("job", "state", "algorithm", "took", "reason", "created", id="jobs-table")
        yield Static("", id="empty", markup=False)

    def on_mount(self) -> None:
        self.focus_first(self.query_one(LiveTable))

    def resume_feeds(self) -> None:
        """Join both feeds. The assets' feed is not in ``feeds``: the frame shows the age of the jobs only."""
        super().resume_feeds()
        self._assets.add_listener(self)

    def pause_feeds(self) -> None:
        """Leave both feeds, as :meth:`resume_feeds` has joined both."""
        super().pause_feeds()
        self._assets.remove_listener(self)

    async def take_feed(self, feed: Feed[Any]) -> None:
        """Draw changed jobs; when names of assets arrived, word all rows anew."""
        if feed is self._assets:
            self._known.clear()
            self.show_again()
        else:
            await super().take_feed(feed)

    def show_value(self, value: list[JobDetails]) -> None:
        """Rebuild only rows whose job has changed or still runs: there may be thousands."""
        app, before = self.box_app, self._known
        now, names = app.clock(), app.feeds.asset_names
        self._known = {job.id: _worded_job(job, before.get(job.id), now, names) for job in value}
        newest = sorted(self._known.values(), key=lambda known: -known[1].created)
        table = self.query_one(LiveTable)
        table.show_rows(row for _, _, row in newest)
        # Once only: afterwards the cursor belongs to the reader.
        if app.started in self._known:
            table.point_at(app.started)
            app.started = ""
        running = sum(view.is_running for _, view, _ in newest)
        self.border_title = f"Jobs of {app.consumer}: {len(newest)}, {running} running"
        launching = f"{app.key_of('launch')} launches one: a dataset, an algorithm, an environment."
        self.query_one("#empty", Static).update("" if newest else f"No jobs yet. {launching}")

    def tick_second(self) -> None:
        """Update the run time of running jobs although no answer came; only of rows in view."""
        super().tick_second()
        table, now, names = self.query_one(LiveTable), self.box_app.clock(), self.box_app.feeds.asset_names
        for key in table.in_view:
            known = self._known.get(key)
            if known is not None and known[1].is_running:
                table.renew_row(job_row(known[1], now, names))


def _worded_job(
    job: JobDetails,
    before: tuple[JobDetails, JobView, TableRow] | None,
    now: float,
    names: dict[str, str],
) -> tuple[JobDetails, JobView, TableRow]:
    """Return what the table keeps of a job; the old value where job and row cannot have changed."""
    if before is not None and before[0] == job and not before[1].is_running:
        return before
    view = JobView.from_job(job)
    return job, view, job_row(view, now, names)


class FactsPane(Pane):
    """The job's facts, and how long each stage took."""

    def compose_body(self) -> ComposeResult:
        with VerticalScroll(can_focus=True):
            yield Static(id="facts", markup=False)

    def show_value(self, value: JobDetails) -> None:
        """Draw the job. Its run time is that of this answer: the feed answers every second while the screen
        is shown.
        """
        self.query_one("#facts", Static).update(
            job_facts(value, self.box_app.clock(), self.box_app.feeds.asset_names)
        )


def job_facts(job: JobDetails, now: float, names: dict[str, str]) -> Text:
    """Return the job's facts in words, then a bar per stage."""
    view = JobView.from_job(job)
    lines = [
        ("state", f"{view.state_mark} {view.status} {view.state_text}"),
        ("reason", view.reason),
        ("algorithm", _asset_name(view.algorithm, names)),
        *[("input", _asset_name(did, names)) for did in view.inputs],
        ("environment", job.environment),
        ("owner", job.owner),
        ("created", utc_text(view.created)),
        ("took", duration_text(view.run_seconds(now))),
        ("exit code", job.exit_code),
    ]
    drawn = Text()
    for name, value in lines:
        # An exit code of 0 is shown, an absent one is not.
        if value not in (None, ""):
            drawn.append(f"{name:<12}", "dim").append(f"{safe_text(value)}\n")
    return drawn.append_text(_timeline_text(job))


def _asset_name(did: str, names: dict[str, str]) -> str:
    """Return an asset's name with its shortened DID, the whole DID while the name is not known."""
    return f"{names[did]}  {short_id(did, 12)}" if did in names else did


def _timeline_text(job: JobDetails) -> Text:
    """Return a line with a bar for each stage that has ended, and the overhead below them."""
    # Computed by the verb's own function, so that ``c2d-box job`` prints the same figures.
    spent = seconds_by_stage(job)
    drawn = Text()
    # Bars are relative to the longest stage; ``or 1.0`` avoids a division by zero.
    longest = max(spent.values(), default=0.0) or 1.0
    for name, seconds in spent.items():
        length = round(BAR * seconds / longest)
        drawn.append(f"\n{name:<43} {duration_text(seconds):>8} ").append("━" * length, "bold")
    cost = job_overhead(job)
    if cost is not None:
        drawn.append(f"\n{'overhead (all but the algorithm)':<43} {duration_text(cost):>8}", "dim")
    return drawn


class ResultsPane(Pane):
    """The job's results; ``listed`` is the list as the Provider answered it."""

    def __init__(self, title: str, feed: Feed[JobDetails], id: str) -> None:
        super().__init__(title, feed, id=id)
        self.listed: Sequence[Mapping[str, Any]] = ()

    def compose_body(self) -> ComposeResult:
        yield LiveTable("#", "file", "type", "size", id="results-table")

    def show_value(self, value: JobDetails) -> None:
        """Draw the list. Rows have the Provider's index as their key, by which a result is fetched."""
        self.listed = listed = value.results
        self.query_one(LiveTable).show_rows(
            TableRow(
                str(index), (str(index), entry["filename"], entry["type"], size_text(entry.get("filesize")))
            )
            for index, entry in enumerate(listed)
        )
        self.border_title = f"Results: {len(listed)}" if listed else "Results: none yet"


class JobLogPane(ContainerLogs):
    """The logs of the job's containers, live while they run; for a job without pods, the logs stored with its
    results.
    """

    def __init__(
        self, title: str, logs: Feed[Mapping[str, str]], pods: Feed[list[PodSummary]], id: str
    ) -> None:
        super().__init__(title, id=id)
        self._logs, self._pods = logs, pods
        self._shows_stored = False
        self.feeds = (pods, logs)

    async def take_feed(self, feed: Feed[Any]) -> None:
        """Stream every pod that appears; if no pod was ever streamed, show the stored logs.

        Streamed lines are kept when the pods are deleted, so the stored logs would repeat them.
        """
        if feed is self._pods:
            # A container that had not started yet refused its log; the change of its pod is the time to ask
            # again.
            self.retry_streams()
            # The stored logs may have been answered first; the streams repeat their lines.
            if self._shows_stored and feed.reading.value:
                self.query_one(LogView).clear_lines()
                self._shows_stored = False
            for pod in feed.reading.value or ():
                self.follow_pod(pod)
        elif feed.reading.value and not self.is_streaming:
            view = self.query_one(LogView)
            view.clear_lines()
            self._shows_stored = True
            for name, text in feed.reading.value.items():
                view.extend_lines([f"── {name}", *text.rstrip("\n").splitlines()])


class OnDemandPane(Pane):
    """A pane that joins its feed only once its tab has been opened, so that its question is not
    asked before.
    """

    def __init__(self, title: str, feed: Feed[Any], id: str) -> None:
        super().__init__(title, id=id)
        self._wanted = feed

    def ask_once(self) -> None:
        """Join the feed, at the first call only. It is asked on while the screen is shown, even from another
        tab.
        """
        if not self.feeds:
            self.feeds = (self._wanted,)
            self.resume_feeds()


class ExplainPane(OnDemandPane):
    """The explanation of how the job ended and what to do about it."""

    def compose_body(self) -> ComposeResult:
        with VerticalScroll(can_focus=True):
            yield Static("asking …", id="explained", markup=False)

    def show_value(self, value: str) -> None:
        """Draw the explanation, whose texts may quote the algorithm."""
        self.query_one("#explained", Static).update(plain_text(value))


# The words of :mod:`sandbox.cli.commands.evidence`, shortened to a pane's title.
VERDICTS = {
    "agrees": "agrees with its sources",
    "unknown": "nothing contradicts it, some could not be asked",
    # Capitals mark a contradiction where there are no colours.
    "disagrees": "does NOT agree",
}


class EvidencePane(OnDemandPane):
    """The job's evidence, each entry compared with the source it came from."""

    def compose_body(self) -> ComposeResult:
        yield LiveTable("check", "agrees", "source", id="evidence-table")

    def show_value(self, value: JobVerification) -> None:
        """Draw a row for each entry of the evidence; the title has the verdict on all of them."""
        self.query_one(LiveTable).show_rows(map(_check_row, value.checks))
        self.border_title = f"Evidence: {VERDICTS[value.verdict]}"


def _check_row(check: EvidenceCheck) -> TableRow:
    mark, word, tone = AGREES[check.ok]
    return TableRow(check.name, (f"{mark} {check.name}", word, check.text), tone)
