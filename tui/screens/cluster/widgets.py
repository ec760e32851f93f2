"""Panes of Kubernetes objects; the job's detail screen shows the same panes for one job."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.app import ComposeResult

from tui.live.feed import Feed
from tui.widgets.live_table import LiveTable, Row
from tui.widgets.pane import Pane
from tui.widgets.text import lasting, moment, short

if TYPE_CHECKING:
    from sandbox.verbs.pods import Flow, Pod, Seen

GOOD, BAD = ("Running", "Succeeded", "Completed"), ("Failed", "Error", "CrashLoopBackOff", "OOMKilled")


def _mark(state: str) -> tuple[str, str]:
    """Return the mark and the tone of a pod's state."""
    if state in BAD or "Err" in state or "BackOff" in state:
        return "✗", "bad"
    if state in ("Succeeded", "Completed"):
        return "✓", "quiet"
    return ("●", "good") if state in GOOD else ("◐", "warn")


class PodsPane(Pane):
    """Pods, youngest first; ``known`` maps namespace/name to pod."""

    def __init__(self, title: str, feed: Feed[list[Pod]], id: str) -> None:
        super().__init__(title, feed, id=id)
        self.known: dict[str, Pod] = {}

    def body(self) -> ComposeResult:
        yield LiveTable("pod", "state", "ready", "restarts", "age", "namespace", id="pods-table")

    def show(self, value: list[Pod]) -> None:
        self.known = {f"{pod.namespace}/{pod.name}": pod for pod in value}
        now = self.box_app.clock()
        self.query_one(LiveTable).show(_pod(key, pod, now) for key, pod in self.known.items())
        running = sum(pod.state == "Running" for pod in value)
        self.border_title = f"Pods: {running} running of {len(value)}"


def _pod(key: str, pod: Pod, now: float) -> Row:
    mark, tone = _mark(pod.state)
    name = f"{pod.part} of job {short(pod.job)}" if pod.job else pod.name
    since = lasting(max(now - pod.at, 0.0)).partition(".")[0] if pod.at else "-"
    age = since if since.endswith(("s", "m", "h", "-")) else f"{since} s"
    cells = (f"{mark} {name}", pod.state, pod.ready, str(pod.restarts or ""), age, pod.namespace)
    return Row(key, cells, tone, f"{pod.ip} {pod.job} {' '.join(pod.containers)}")


class FlowsPane(Pane):
    """WorkFlow objects, which hold the authoritative state of jobs."""

    def body(self) -> ComposeResult:
        yield LiveTable("workflow", "status", "created", "environment", id="flows-table")

    def show(self, value: list[Flow]) -> None:
        self.query_one(LiveTable).show(
            Row(flow.name, (flow.name, flow.status, moment(flow.at), flow.environment), search=flow.owner)
            for flow in value
        )
        self.border_title = f"WorkFlows: {len(value)}"


class HappeningsPane(Pane):
    """Kubernetes events, newest first."""

    def body(self) -> ComposeResult:
        yield LiveTable("time", "reason", "about", "message", id="happenings-table")

    def show(self, value: list[Seen]) -> None:
        rows = []
        for place, seen in enumerate(value):
            tone = "warn" if seen.kind == "Warning" else ""
            mark = "! " if tone else ""
            key = f"{seen.at} {seen.about} {seen.reason} {place}"
            about = short(seen.about, 24)
            rows.append(Row(key, (f"{mark}{moment(seen.at)[6:]}", seen.reason, about, seen.text), tone))
        self.query_one(LiveTable).show(reversed(rows))
        self.border_title = f"Events: {len(value)}"
