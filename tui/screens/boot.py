"""The boot screen: the steps that ``up`` would take on a box that is down, then its step graph, live."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widgets import Static

from tui.actions import box_lifecycle
from tui.actions.run import ActionRun, RunAdvanced, RunFollower
from tui.dialogs.running import run_outcome
from tui.widgets.base_screen import BoxScreen
from tui.widgets.step_graph import StepGraph
from tui.widgets.text import plain_text


class BootScreen(BoxScreen, RunFollower):
    """Offers to boot; after enter it shows the step graph, and it closes itself when the box is up.

    It lies over the dashboard and may be left at any time: the boot goes on, and its end is told by a notice.
    """

    # Shown as part of the dashboard, so the header and the remembered screen name that.
    NAME = "dashboard"
    CSS = """
    #boot { border: round $primary; padding: 0 2; }
    #boot-title { text-style: bold; }
    #boot-outcome { height: auto; padding: 0 2; }
    #boot-outcome.-bad { color: $text-error; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,u", "boot", "Boot", id="boot.up"),
        Binding("escape", "back", "Dashboard", id="boot.back"),
    ]

    def __init__(self, run: ActionRun | None = None) -> None:
        super().__init__()
        self.run = run

    def compose_body(self) -> ComposeResult:
        """Compose the title, a place for the plan or the graph, and the outcome below both, where it stays in
        sight.
        """
        app = self.box_app
        with VerticalScroll(id="boot", can_focus=True):
            yield Static(plain_text(f"The box {app.source.name} is down."), id="boot-title")
            yield Static(id="boot-graph-place")
        yield Static(id="boot-outcome", markup=False)

    def on_mount(self) -> None:
        """Start the clock of the graph. With a run given (``u`` on the dashboard) the boot is under way
        already.
        """
        # Elapsed times run on between two events of the verb, which may be minutes apart.
        self.set_interval(0.5, self.redraw_graph)
        if self.run is None:
            self._offer_boot()
        else:
            self.follow_run(self.run)

    def _offer_boot(self) -> None:
        """Say what a boot would do and how it is done from a shell. Nothing starts before enter."""
        source = self.box_app.source
        lines = [
            "",
            "Booting starts, in this order and as far as it is missing:",
            "",
            "  bundle     the pinned binaries and images the box is made of",
            "  cluster    Kubernetes: etcd, containerd, API server, scheduler, kubelet, kube-proxy",
            "  chain      a local chain with Ocean's contracts",
            "  services   provider, metadata cache, operator, IPFS, S3",
            "",
            f"  $ {source.command_line('up')}",
            "",
            "read-only: boot it from a shell" if self.box_app.read_only else "enter boots · esc looks around",
        ]
        self.query_one("#boot-graph-place", Static).update(plain_text("\n".join(lines)))

    def action_boot(self) -> None:
        """Boot, unless a boot is under way or has succeeded. After a failure the key tries again: ``up``
        resumes.
        """
        if self.run is None or (self.run.over and self.run.problem):
            self.box_app.perform_action(box_lifecycle.boot_action(self.box_app.source), then=self.follow_run)

    def follow_run(self, run: ActionRun) -> None:
        """Show this run's step graph from now on."""
        self.run = run
        for old in self.query(StepGraph):
            # The graph of an earlier, failed attempt.
            old.remove()
        self.query_one("#boot-graph-place").display = False
        title = plain_text(f"Booting {self.box_app.source.name} …", "bold")
        self.query_one("#boot-title", Static).update(title)
        self.query_one("#boot").mount(StepGraph(run.board))
        # The graph just mounted can be drawn only after Textual has composed it.
        self.call_after_refresh(self.redraw_graph)

    def follows_run(self, run: ActionRun) -> bool:
        """Return whether this screen shows the run's events, so that no dialog does."""
        return run is self.run

    def on_run_advanced(self, event: RunAdvanced) -> None:
        """Draw the new state; a run of another action is not this screen's."""
        if not self.follows_run(event.run):
            return
        self.redraw_graph()
        self._leave_when_up()

    def on_screen_resume(self) -> None:
        """Leave if the box came up while a dialog covered this screen."""
        self._leave_when_up()

    def _leave_when_up(self) -> None:
        """Close the screen once the run has succeeded, unless a verb's question covers it."""
        if self.run is not None and self.run.over and self.run.problem is None and self.app.screen is self:
            self.box_app.feeds.refresh_feeds()
            self.notify("the box is up")
            self.app.pop_screen()

    def redraw_graph(self) -> None:
        """Draw graph and outcome anew; called twice a second and with every event. While the boot goes on the
        newest step stays in sight, afterwards the reader may scroll.
        """
        if self.run is None:
            return
        for graph in self.query(StepGraph):
            graph.redraw_board(self.box_app.clock())
        self.query_one("#boot-outcome", Static).update(plain_text(run_outcome(self.run)))
        self.query_one("#boot-outcome").set_class(self.run.problem is not None, "-bad")
        if not self.run.over:
            self.query_one("#boot").scroll_end(animate=False)

    def copied_text(self) -> str:
        """Return the command that boots this box."""
        return self.box_app.command_line("up")
