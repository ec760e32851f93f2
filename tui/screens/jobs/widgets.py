"""Panes about jobs: the table, one job's facts and timeline, its results, its logs, explanation
and evidence.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Static

from sandbox.verbs.job_timeline import overhead, stages
from tui.backend.port import Ddo, Job
from tui.live.feed import Feed
from tui.screens.cluster.reading import ContainerLogs
from tui.screens.jobs.view import JobView, row
from tui.widgets.live_table import LiveTable, Row
from tui.widgets.log_view import LogView
from tui.widgets.pane import Pane
from tui.widgets.text import lasting, moment, plain, safe, short, size

if TYPE_CHECKING:
    from c2d_box.client.verification import Check, Verification
    from sandbox.verbs.pods import Pod

KnownJob = tuple[Job, JobView, Row]
"""A job, as it was answered and as its row shows it."""
BAR = 24
AGREES = {True: ("✓", "yes", "good"), False: ("✗", "NO", "bad"), None: ("○", "not asked", "quiet")}


class JobsPane(Pane):
    """The table of all jobs, newest first; the feed ``assets`` gives the names of their algorithms."""

    def __init__(self, title: str, feed: Feed[list[Job]], assets: Feed[list[Ddo]], id: str) -> None:
        super().__init__(title, feed, id=id)
        self._assets = assets
        self._known: dict[str, KnownJob] = {}

    def body(self) -> ComposeResult:
        yield LiveTable("job", "state", "algorithm", "took", "reason", "created", id="jobs-table")
        yield Static("", id="empty", markup=False)

    def on_mount(self) -> None:
        self.begin(self.query_one(LiveTable))

    def resume(self) -> None:
        super().resume()
        self._assets.join(self)

    def pause(self) -> None:
        super().pause()
        self._assets.leave(self)

    async def take(self, feed: Feed[Any]) -> None:
        if feed is self._assets:
            self._known.clear()
            self.again()
        else:
            await super().take(feed)

    def show(self, value: list[Job]) -> None:
        """Rebuild only rows whose job has changed or still runs: there may be thousands."""
        app, before = self.box_app, self._known
        now, names = app.clock(), app.names
        self._known = {job["jobId"]: _worded(job, before.get(job["jobId"]), now, names) for job in value}
        newest = sorted(self._known.values(), key=lambda known: -known[1].created)
        table = self.query_one(LiveTable)
        table.show(row for _, _, row in newest)
        if app.started in self._known:
            table.point(app.started)
            app.started = ""
        running = sum(view.running for _, view, _ in newest)
        self.border_title = f"Jobs of {app.consumer}: {len(newest)}, {running} running"
        launching = f"{app.key_of('launch')} launches one: a dataset, an algorithm, an environment."
        self.query_one("#empty", Static).update("" if newest else f"No jobs yet. {launching}")

    def tick(self) -> None:
        """Update the run time of running jobs although no answer came; only of rows in view."""
        super().tick()
        table, now, names = self.query_one(LiveTable), self.box_app.clock(), self.box_app.names
        for key in table.in_view:
            known = self._known.get(key)
            if known is not None and known[1].running:
                table.renew(row(known[1], now, names))


def _worded(job: Job, before: KnownJob | None, now: float, names: dict[str, str]) -> KnownJob:
    if before is not None and before[0] == job and not before[1].running:
        return before
    view = JobView.of(job)
    return job, view, row(view, now, names)


class FactsPane(Pane):
    """The job's facts, and how long each stage took."""

    def body(self) -> ComposeResult:
        with VerticalScroll(can_focus=True):
            yield Static(id="facts", markup=False)

    def show(self, value: Job) -> None:
        self.query_one("#facts", Static).update(facts(value, self.box_app.clock(), self.box_app.names))


def facts(job: Job, now: float, names: dict[str, str]) -> Text:
    """Return the job's facts in words, then a bar per stage."""
    view = JobView.of(job)
    lines = [
        ("state", f"{view.mark} {view.status} {view.state}"),
        ("reason", view.reason),
        ("algorithm", _named(view.algorithm, names)),
        *[("input", _named(did, names)) for did in view.inputs],
        ("environment", job.get("environment")),
        ("owner", job.get("owner")),
        ("created", moment(view.created)),
        ("took", lasting(view.took(now))),
        ("exit code", job.get("exitCode")),
    ]
    drawn = Text()
    for name, value in lines:
        if value not in (None, ""):
            drawn.append(f"{name:<12}", "dim").append(f"{safe(value)}\n")
    return drawn.append_text(_timeline(job))


def _named(did: str, names: dict[str, str]) -> str:
    return f"{names[did]}  {short(did, 12)}" if did in names else did


def _timeline(job: Job) -> Text:
    spent = stages(job)
    drawn = Text()
    longest = max(spent.values(), default=0.0) or 1.0
    for name, seconds in spent.items():
        length = round(BAR * seconds / longest)
        drawn.append(f"\n{name:<43} {lasting(seconds):>8} ").append("━" * length, "bold")
    cost = overhead(job)
    if cost is not None:
        drawn.append(f"\n{'overhead (all but the algorithm)':<43} {lasting(cost):>8}", "dim")
    return drawn


class ResultsPane(Pane):
    """The job's results; ``listed`` is the list as the Provider answered it."""

    def __init__(self, title: str, feed: Feed[Job], id: str) -> None:
        super().__init__(title, feed, id=id)
        self.listed: list[dict[str, Any]] = []

    def body(self) -> ComposeResult:
        yield LiveTable("#", "file", "type", "size", id="results-table")

    def show(self, value: Job) -> None:
        self.listed = listed = value.get("results") or []
        self.query_one(LiveTable).show(
            Row(str(index), (str(index), entry["filename"], entry["type"], size(entry.get("filesize"))))
            for index, entry in enumerate(listed)
        )
        self.border_title = f"Results: {len(listed)}" if listed else "Results: none yet"


class JobLogPane(ContainerLogs):
    """The logs of the job's containers, live while they run; for a job without pods, the logs stored with its
    results.
    """

    def __init__(self, title: str, logs: Feed[Mapping[str, str]], pods: Feed[list[Pod]], id: str) -> None:
        super().__init__(title, id=id)
        self._logs, self._pods = logs, pods
        self.feeds = (pods, logs)

    async def take(self, feed: Feed[Any]) -> None:
        """Stream every pod that appears; if no pod was ever streamed, show the stored logs."""
        if feed is self._pods:
            self.retry()
            for pod in feed.reading.value or ():
                self.follow(pod)
        elif feed.reading.value and not self.streaming:
            view = self.query_one(LogView)
            view.clear()
            for name, text in feed.reading.value.items():
                view.extend([f"── {name}", *text.rstrip("\n").splitlines()])


class AskedPane(Pane):
    """A pane that joins its feed only once its tab has been opened, so that its question is not
    asked before.
    """

    def __init__(self, title: str, feed: Feed[Any], id: str) -> None:
        super().__init__(title, id=id)
        self._wanted = feed

    def ask(self) -> None:
        """Join the feed, at the first call only."""
        if not self.feeds:
            self.feeds = (self._wanted,)
            self.resume()


class ExplainPane(AskedPane):
    """The explanation of how the job ended and what to do about it."""

    def body(self) -> ComposeResult:
        with VerticalScroll(can_focus=True):
            yield Static("asking …", id="explained", markup=False)

    def show(self, value: str) -> None:
        self.query_one("#explained", Static).update(plain(value))


VERDICTS = {
    "agrees": "agrees with its sources",
    "unknown": "nothing contradicts it, some could not be asked",
    "disagrees": "does NOT agree",
}


class EvidencePane(AskedPane):
    """The job's evidence, each entry compared with the source it came from."""

    def body(self) -> ComposeResult:
        yield LiveTable("check", "agrees", "source", id="evidence-table")

    def show(self, value: Verification) -> None:
        self.query_one(LiveTable).show(map(_check, value.checks))
        self.border_title = f"Evidence: {VERDICTS[value.verdict]}"


def _check(check: Check) -> Row:
    mark, word, tone = AGREES[check.ok]
    return Row(check.name, (f"{mark} {check.name}", word, check.text), tone)
