"""The dialog of a running action: its step graph, then its result or its error. Closing it does not stop the
run.
"""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Footer, Static

from tui.actions.run import ActionRun, RunAdvanced, RunFollower
from tui.runtime.app_port import port_of
from tui.widgets.step_graph import StepGraph
from tui.widgets.text import plain_text


def run_outcome(run: ActionRun) -> str:
    """Return the state of a run in words."""
    if not run.over:
        return "under way · esc leaves it running"
    if run.problem is None:
        return "✓ done · esc closes"
    lines = [f"✗ {run.problem.code}: {run.problem.message}"]
    if run.problem.next_step:
        lines.append(f"  next: {run.problem.next_step}")
    return "\n".join(lines)


class RunDialog(ModalScreen[None], RunFollower):
    """Shows the progress and the end of one run."""

    CSS_PATH = "dialogs.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,enter", "leave", "Close", id="run.close"),
        Binding("y", "copy", "Copy command", id="run.copy"),
    ]

    def __init__(self, run: ActionRun) -> None:
        super().__init__()
        self.run = run

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog -tall"):
            yield Static(plain_text(self.run.action.title), classes="title")
            yield Static(plain_text(f"$ {self.run.action.command}"), classes="command")
            with VerticalScroll(classes="graph"):
                yield StepGraph(self.run.board)
            yield Static(id="outcome", markup=False)
        yield Footer()

    def on_mount(self) -> None:
        # Elapsed seconds and estimates move without events.
        self.set_interval(0.5, self.redraw_run)
        self.redraw_run()

    def follows_run(self, run: ActionRun) -> bool:
        return run is self.run

    def on_run_advanced(self, event: RunAdvanced) -> None:
        if self.follows_run(event.run):
            self.redraw_run()

    def redraw_run(self) -> None:
        self.query_one(StepGraph).redraw_board(port_of(self).clock())
        self.query_one("#outcome", Static).update(plain_text(run_outcome(self.run)))
        self.query_one("#outcome").set_class(self.run.problem is not None, "-bad")
        # Follow the newest step while it runs; afterwards the reader scrolls in peace.
        if not self.run.over:
            self.query_one(VerticalScroll).scroll_end(animate=False)

    def action_leave(self) -> None:
        self.dismiss(None)

    def action_copy(self) -> None:
        self.app.copy_to_clipboard(self.run.action.command)
        self.notify("command copied", timeout=2)
