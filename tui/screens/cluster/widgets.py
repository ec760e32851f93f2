"""Panes of Kubernetes objects; the job's detail screen shows the same panes for one job."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.app import ComposeResult

from tui.live.feed import Feed
from tui.widgets.live_table import LiveTable, TableRow
from tui.widgets.pane import Pane
from tui.widgets.text import duration_text, short_id, utc_text

if TYPE_CHECKING:
    from sandbox.verbs.inspection.pods import EventSummary, PodSummary, WorkflowSummary

GOOD, BAD = ("Running", "Succeeded", "Completed"), ("Failed", "Error", "CrashLoopBackOff", "OOMKilled")


def _state_mark(state: str) -> tuple[str, str]:
    """Return the mark and the tone of a pod's state. Kubernetes has many reasons for waiting; the bad ones
    contain ``Err`` or ``BackOff``.
    """
    if state in BAD or "Err" in state or "BackOff" in state:
        return "✗", "bad"
    if state in ("Succeeded", "Completed"):
        return "✓", "quiet"
    return ("●", "good") if state in GOOD else ("◐", "warn")


class PodsPane(Pane):
    """Pods, youngest first; ``known`` maps namespace/name to pod."""

    def __init__(self, title: str, feed: Feed[list[PodSummary]], id: str) -> None:
        super().__init__(title, feed, id=id)
        self.known: dict[str, PodSummary] = {}

    def compose_body(self) -> ComposeResult:
        yield LiveTable("pod", "state", "ready", "restarts", "age", "namespace", id="pods-table")

    def show_value(self, value: list[PodSummary]) -> None:
        """Draw the pods. Ages are counted from the box's clock at this answer; they do not tick."""
        self.known = {f"{pod.namespace}/{pod.name}": pod for pod in value}
        now = self.box_app.clock()
        self.query_one(LiveTable).show_rows(_pod_row(key, pod, now) for key, pod in self.known.items())
        running = sum(pod.state == "Running" for pod in value)
        self.border_title = f"Pods: {running} running of {len(value)}"


def _pod_row(key: str, pod: PodSummary, now: float) -> TableRow:
    """Return a pod's row. Pods of jobs are named by their part, as their real names are mostly an id; the
    filter finds them by job, address and containers too."""
    mark, tone = _state_mark(pod.state)
    name = f"{pod.part} of job {short_id(pod.job)}" if pod.job else pod.name
    # Whole seconds, as the ages of all pods change with every answer.
    since = duration_text(max(now - pod.at, 0.0)).partition(".")[0] if pod.at else "-"
    age = since if since.endswith(("s", "m", "h", "-")) else f"{since} s"
    cells = (f"{mark} {name}", pod.state, pod.ready, str(pod.restarts or ""), age, pod.namespace)
    return TableRow(key, cells, tone, f"{pod.ip} {pod.job} {' '.join(pod.containers)}")


class WorkflowsPane(Pane):
    """WorkFlow objects, which hold the authoritative state of jobs."""

    def compose_body(self) -> ComposeResult:
        yield LiveTable("workflow", "status", "created", "environment", id="flows-table")

    def show_value(self, value: list[WorkflowSummary]) -> None:
        """Draw the WorkFlows; the filter finds one by its owner, who has no column."""
        self.query_one(LiveTable).show_rows(
            TableRow(
                flow.name, (flow.name, flow.status, utc_text(flow.at), flow.environment), search=flow.owner
            )
            for flow in value
        )
        self.border_title = f"WorkFlows: {len(value)}"


class EventsPane(Pane):
    """Kubernetes events, newest first."""

    def compose_body(self) -> ComposeResult:
        yield LiveTable("time", "reason", "about", "message", id="happenings-table")

    def show_value(self, value: list[EventSummary]) -> None:
        """Draw the events, which come oldest first, newest first."""
        rows = []
        for place, seen in enumerate(value):
            tone = "warn" if seen.kind == "Warning" else ""
            mark = "! " if tone else ""
            # A summary has no id of its own; the place tells equal ones apart.
            key = f"{seen.at} {seen.about} {seen.reason} {place}"
            about = short_id(seen.about, 24)
            rows.append(
                TableRow(key, (f"{mark}{utc_text(seen.at)[6:]}", seen.reason, about, seen.text), tone)
            )
        self.query_one(LiveTable).show_rows(reversed(rows))
        self.border_title = f"Events: {len(value)}"
