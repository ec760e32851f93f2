"""The application: current screen, acting account, feeds, and the entry points of every change."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual.app import App
from textual.binding import Binding, BindingType
from textual.command import Provider
from textual.events import Event, Key
from textual.screen import Screen

from tui.backend.port import BackendPort
from tui.live.change_watcher import ChangeWatcher
from tui.live.feed import Clock
from tui.live.feed_registry import FeedRegistry
from tui.runtime.gc_policy import GcPolicy
from tui.runtime.screen_table import SCREENS
from tui.runtime.terminal_guard import leave_when_asked
from tui.runtime.themes import DARK, THEMES
from tui.runtime.ui_state import UiState
from tui.widgets.base_screen import BoxScreen
from tui.widgets.header import TopLine
from tui.widgets.tour import LESSONS, TourBar

if TYPE_CHECKING:
    from c2d_box.client import JobDetails
    from tui.action_runner import ActionRunner
    from tui.actions.action import UserAction
    from tui.actions.run import ActionRun, QuestionAsked, RunAdvanced


def _load_commands() -> type[Provider]:
    from tui.command_palette import BoxCommands

    return BoxCommands


class BoxApp(App[None]):
    """The TUI of one box: it owns the feeds, the remembered state and the acting account.

    Screens, dialogs and widgets know it only as :class:`tui.runtime.app_port.AppPort`. Each screen of the
    table is a Textual mode, so it keeps its own stack of detail screens while another one is shown.
    """

    TITLE = "c2d-box"
    CSS_PATH = "app.tcss"
    MODES = {entry.name: entry.open_screen for entry in SCREENS.values()}  # noqa: RUF012
    # A function instead of the class: Textual calls it when the palette is first opened, and only then
    # imports it.
    COMMANDS: ClassVar[set[type[Provider] | Callable[[], type[Provider]]]] = {_load_commands}
    BINDINGS: ClassVar[list[BindingType]] = [
        *(entry.key_binding for entry in SCREENS.values()),
        Binding("question_mark", "help", "Help", id="app.help", key_display="?"),
        Binding("colon", "command_line", "Command", show=False, id="app.command", key_display=":"),
        Binding("T,shift+t", "tour(0)", "Guided tour", show=False, id="app.tour", key_display="T"),
        Binding("N,shift+n", "tour(1)", "Tour: next", show=False, id="tour.next", key_display="N"),
        Binding("B,shift+b", "tour(-1)", "Tour: back", show=False, id="tour.back", key_display="B"),
        Binding("q", "quit", "Quit", show=False, id="app.quit"),
    ]

    def __init__(
        self,
        source: BackendPort,
        *,
        who: str | None = None,
        read_only: bool = False,
        theme: str | None = None,
        clock: Clock = time.time,
        pace: float = 1.0,
        memory_file: Path | None = None,
        screen: str = "",
    ) -> None:
        # The remembered state is read before ``super().__init__``, because it decides which mode is the
        # first.
        self.memory_file, self.memory = memory_file, UiState.load_state(memory_file)
        first = screen or self.memory.screen
        # Textual's own default mode would style an empty screen, then leave it, before the first paint.
        vars(self)["DEFAULT_MODE"] = first if first in SCREENS else "dashboard"
        super().__init__()
        self.source, self.read_only, self.clock = source, read_only, clock
        self.chosen_account = who
        # The registry gets a function for the consumer, so that a change of account needs no new feeds.
        self.feeds = FeedRegistry(source, lambda: self.consumer, clock, pace)
        self.watcher = ChangeWatcher(source, self.feeds)
        self.collecting = GcPolicy()
        self.started = ""
        """The job started last, until the table of jobs has pointed at it."""
        for known in THEMES.values():
            self.register_theme(known)
        # The state file may come from another version, or be edited by hand: an unknown theme is not an
        # error.
        wanted = theme or self.memory.theme
        self.theme = wanted if wanted in THEMES else DARK.name
        self.set_keymap(self.memory.keys)

    @property
    def publisher(self) -> str:
        """The account that publishes and permits."""
        return self.chosen_account or "publisher"

    @property
    def consumer(self) -> str:
        """The account that orders and runs jobs."""
        return self.chosen_account or "consumer"

    def on_mount(self) -> None:
        """Handle SIGTERM and SIGHUP from now on: this needs the running event loop."""
        leave_when_asked(self)

    def on_ready(self) -> None:
        """Let the feeds begin to ask: the first frame is on the screen."""
        self.collecting.start_policy(self)
        self.feeds.gate.set()
        self.watcher.start_watches()

    async def on_event(self, event: Event) -> None:
        """Note every key before it is handled, so that no collection of garbage begins just after it."""
        if isinstance(event, Key):
            self.collecting.note_key(event)
        await super().on_event(event)

    def open_screen(self, name: str) -> None:
        """Show a screen; each screen keeps the detail screens that were opened on it."""
        if self.current_mode != name:
            self.memory.screen = name
            self.switch_mode(name)

    def action_go(self, name: str) -> None:
        self.open_screen(name)

    def action_tour(self, by: int) -> None:
        """Move by that many lessons; 0 begins, leaves or resumes the tour."""
        step = self.memory.tour
        if by:
            # N and B move only while the tour is shown; while it is hidden the keys belong to the widgets.
            self.tour_to(step + by if step >= 0 else step)
        else:
            # The complement turns "shown at step" into "hidden at step" and back.
            self.tour_to(~step)

    def tour_to(self, step: int) -> None:
        """Show a lesson; a negative step hides the tour and encodes the lesson to resume at."""
        self.memory.tour = min(step, len(LESSONS) - 1)
        for screen in self.screen_stack:
            for bar in screen.query(TourBar):
                bar.redraw_lesson()

    def key_of(self, screen: str) -> str:
        """Return the key that opens a screen, also where the user has bound another one."""
        return self.memory.keys.get(f"screen.{screen}", SCREENS[screen].key).partition(",")[0]

    def act_as(self, who: str | None) -> None:
        """Act as another account from now on; None means the usual roles, publisher and consumer."""
        self.chosen_account = who
        self.feeds.refresh_feeds("jobs")
        for line in self.screen.query(TopLine):
            line.redraw_line()
        self.notify(f"acting as {who or 'publisher and consumer'}", timeout=2, markup=False)

    def note_started(self, job: JobDetails | None) -> None:
        """Remember the job started last, so that the jobs table puts its cursor on it."""
        self.started = job.id if job is not None else ""

    def choose_theme(self, theme: str) -> None:
        """Use a theme, now and in later runs."""
        self.theme = self.memory.theme = theme

    def command_line(self, arguments: str) -> str:
        """Return the command line for this box and the chosen account."""
        return self.source.command_line(arguments, self.chosen_account or "")

    def copy_command(self, arguments: str) -> None:
        """Show and copy the command line that does what a screen or action does."""
        self.copy_text(self.command_line(arguments))

    def copy_text(self, text: str) -> None:
        """Copy a command line, and show it."""
        self.copy_to_clipboard(text)
        self.notify(f"$ {text}\ncopied", timeout=4, markup=False)

    @cached_property
    def runner(self) -> ActionRunner:
        """The runs of this application, and the only code path that changes anything."""
        from tui.action_runner import ActionRunner

        return ActionRunner(self)

    def perform_action(self, action: UserAction, *, then: Callable[[ActionRun], None] | None = None) -> None:
        """Confirm, run and show an action."""
        self.runner.perform_action(action, then)

    def fill_form(
        self, form: Screen[UserAction | None], *, then: Callable[[ActionRun], None] | None = None
    ) -> None:
        """Show a form, then confirm and run the action that its values make."""
        self.runner.fill_form(form, then)

    def on_run_advanced(self, event: RunAdvanced) -> None:
        self.runner.forward_run(event.run)

    def on_question_asked(self, event: QuestionAsked) -> None:
        self.runner.put_question(event)

    async def action_quit(self) -> None:
        self.leave_app()

    def leave_app(self) -> None:
        """Leave the TUI; the box goes on. Confirms first while a verb is running."""
        self.runner.leave_app()

    def action_command_line(self) -> None:
        """Open the command line; it is imported with the first press of its key."""
        from tui.command_palette import CommandLine

        self.push_screen(CommandLine())

    def action_help(self) -> None:
        """Show the keys that work on this screen now, as the user has bound them."""
        from tui.dialogs.help import HelpDialog, listed_keys

        name = self.screen.NAME if isinstance(self.screen, BoxScreen) else "this screen"
        self.push_screen(HelpDialog(name, listed_keys(self)))

    def on_unmount(self) -> None:
        """End the threads and keep the state. Opening the gate lets feeds go that still wait for a first
        paint.
        """
        self.watcher.stop_watches()
        self.feeds.gate.set()
        self.memory.save_state(self.memory_file)


if TYPE_CHECKING:
    from tui.runtime.app_port import AppPort

    _PORT: type[AppPort] = BoxApp
    """mypy proves here that the application is what :func:`tui.runtime.app_port.port_of` says."""
