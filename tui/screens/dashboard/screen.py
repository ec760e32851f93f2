"""The dashboard: the box's health, its memory, the last jobs, and what to do next."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical

from tui.live.feed import FeedAnswered
from tui.screens.dashboard.widgets import HealthPane, LastJobsPane, MemoryPane, NextPane
from tui.widgets.base_screen import BoxScreen

if TYPE_CHECKING:
    from tui.actions.run import ActionRun


class DashboardScreen(BoxScreen):
    """The dashboard. On a box that is down it offers to boot it, once."""

    NAME = "dashboard"
    CSS = """
    #health { width: 1fr; }
    #next { height: 6; }
    #memory { height: 5; }
    #memory Sparkline { height: 1; }
    #memory #largest { height: 2; color: $text-muted; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("u", "up", "Up", id="box.up"),
        Binding("D,shift+d", "down", "Down", id="box.down", key_display="D"),
        Binding("c", "as_command", "As command", show=False, id="dashboard.command"),
    ]

    def __init__(self) -> None:
        super().__init__()
        # True after the first answer, whatever it was: the offer is not to come back later.
        self._offered = False

    def compose_body(self) -> ComposeResult:
        feeds = self.box_app.feeds
        with Horizontal():
            yield HealthPane("Health", feeds.status, id="health")
            with Vertical():
                yield NextPane("Next", feeds.status, id="next")
                yield LastJobsPane("Last jobs", feeds.jobs, id="last-jobs")
                yield MemoryPane("Memory", feeds.resources, id="memory")

    def on_mount(self) -> None:
        """Listen to the state, besides the panes, to offer the boot."""
        self.box_app.feeds.status.add_listener(self)

    def on_unmount(self) -> None:
        """Leave the feed: without a listener it stops asking."""
        self.box_app.feeds.status.remove_listener(self)

    def on_feed_answered(self, event: FeedAnswered) -> None:
        """Offer to boot at the first answer about a box that is down; never again, also not after a ``down``
        from here.
        """
        status = event.feed.reading.value
        if self._offered or status is None or event.feed is not self.box_app.feeds.status:
            return
        self._offered = True
        # Not over another screen: the user may have moved on before the first answer came.
        if status.state in ("absent", "stopped") and self.app.screen is self:
            self._show_boot()

    def action_up(self) -> None:
        """Boot after a confirmation, and follow on the boot screen instead of in a dialog."""
        # Imported late: this screen is the first that is painted, at every start.
        from tui.actions import box_lifecycle

        action = box_lifecycle.boot_action(self.box_app.source)
        self.box_app.perform_action(action, then=self._show_boot)

    def _show_boot(self, run: ActionRun | None = None) -> None:
        """Open the boot screen, with the run where one has been started already."""
        from tui.screens.boot import BootScreen

        self.app.push_screen(BootScreen(run))

    def action_down(self) -> None:
        """Stop the box after a confirmation; the dashboard then shows what is left."""
        from tui.actions import box_lifecycle

        self.box_app.perform_action(box_lifecycle.stop_action(self.box_app.source))

    def action_as_command(self) -> None:
        self.box_app.copy_command("status")
