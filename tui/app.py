"""The application: which screen is shown, who acts, and the one way in which anything is changed."""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import ClassVar

from textual.app import App
from textual.binding import Binding, BindingType
from textual.command import Provider
from textual.screen import Screen

from tui.actions import Action
from tui.commands import BoxCommands, CommandLine
from tui.dialogs.action import ActionDialog, Question
from tui.dialogs.form import FormDialog
from tui.dialogs.help import HelpDialog
from tui.dialogs.running import RunDialog
from tui.ending import leave_when_asked
from tui.feeds import Clock
from tui.memory import Memory
from tui.questions import Questions
from tui.runs import Advanced, Asked, Run
from tui.source import Source
from tui.themes import DARK, THEMES
from tui.topline import KEYS, NAMES, SCREENS, TopLine
from tui.tour import LESSONS, TourBar
from tui.watching import Watcher

CLASSES = {name: f"{name.capitalize()}Screen" for name in SCREENS}


def _opening(name: str) -> Callable[[], Screen[None]]:
    """Imports a screen's folder when it is first looked at."""

    def make() -> Screen[None]:
        made = getattr(import_module(f"tui.screens.{name}.screen"), CLASSES[name])()
        assert isinstance(made, Screen)
        return made

    return make


class BoxApp(App[None]):
    """The TUI of one box."""

    TITLE = "c2d-box"
    CSS_PATH = "app.tcss"
    MODES = {name: _opening(name) for name in SCREENS}  # noqa: RUF012
    COMMANDS: ClassVar[set[type[Provider] | Callable[[], type[Provider]]]] = {BoxCommands}
    BINDINGS: ClassVar[list[BindingType]] = [
        *(
            Binding(
                NAMES.get(key, key), f"go('{name}')", title, show=False, key_display=key, id=f"screen.{name}"
            )
            for key, (name, title) in zip(KEYS, SCREENS.items(), strict=True)
        ),
        Binding("question_mark", "help", "Help", id="app.help", key_display="?"),
        Binding("colon", "command_line", "Command", show=False, id="app.command", key_display=":"),
        Binding("T,shift+t", "tour(0)", "Guided tour", show=False, id="app.tour", key_display="T"),
        Binding("N,shift+n", "tour(1)", "Tour: next", show=False, id="tour.next", key_display="N"),
        Binding("B,shift+b", "tour(-1)", "Tour: back", show=False, id="tour.back", key_display="B"),
        Binding("q", "quit", "Quit", show=False, id="app.quit"),
    ]

    def __init__(
        self,
        source: Source,
        *,
        who: str | None = None,
        read_only: bool = False,
        theme: str | None = None,
        clock: Clock = time.time,
        pace: float = 1.0,
        memory_file: Path | None = None,
    ) -> None:
        super().__init__()
        self.source, self.read_only, self.clock = source, read_only, clock
        self.chosen_account = who
        self.memory_file = memory_file
        self.memory = Memory.load(memory_file)
        self.feeds = Questions(source, lambda: self.consumer, clock, pace)
        self.watcher = Watcher(source, self.feeds)
        self.runs: list[Run] = []
        for known in THEMES.values():
            self.register_theme(known)
        wanted = theme or self.memory.theme
        self.theme = wanted if wanted in THEMES else DARK.name
        self.set_keymap(self.memory.keys)

    @property
    def publisher(self) -> str:
        """Who publishes and permits."""
        return self.chosen_account or "publisher"

    @property
    def consumer(self) -> str:
        """Who orders and runs."""
        return self.chosen_account or "consumer"

    def on_mount(self) -> None:
        leave_when_asked(self)
        self.switch_mode(self.memory.screen if self.memory.screen in SCREENS else "dashboard")

    def on_ready(self) -> None:
        """The first frame is on the screen: now ask the verbs."""
        self.feeds.gate.set()
        self.watcher.start()

    def go(self, name: str) -> None:
        """Show a screen; each keeps what was opened in it."""
        if self.current_mode != name:
            self.memory.screen = name
            self.switch_mode(name)

    def action_go(self, name: str) -> None:
        self.go(name)

    def action_tour(self, by: int) -> None:
        """0 begins, leaves or takes up the tour; others move in it."""
        step = self.memory.tour
        if by:
            self.tour_to(step + by if step >= 0 else step)
        else:
            self.tour_to(~step)

    def tour_to(self, step: int) -> None:
        """Show a lesson; below zero none, but where to go on is kept."""
        self.memory.tour = min(step, len(LESSONS) - 1)
        for screen in self.screen_stack:
            for bar in screen.query(TourBar):
                bar.redraw()

    def act_as(self, who: str | None) -> None:
        """Act as another account from now on; None is each role in its own part again."""
        self.chosen_account = who
        self.feeds.poke("jobs")
        for line in self.screen.query(TopLine):
            line.redraw()
        self.notify(f"acting as {who or 'publisher and consumer'}", timeout=2, markup=False)

    @property
    def names(self) -> dict[str, str]:
        """Names of assets by DID, as far as they are known."""
        known = self.feeds.assets.reading.value or []
        return {str(ddo["id"]): str(ddo["metadata"].get("name")) for ddo in known}

    def choose(self, theme: str) -> None:
        """Use a theme, now and next time."""
        self.theme = self.memory.theme = theme

    def command(self, arguments: str) -> str:
        """The command line for this box and the chosen account."""
        return self.source.command(arguments, self.chosen_account or "")

    def copy_command(self, arguments: str) -> None:
        """Show what a screen or action is as a command, and copy it."""
        self.copy_text(self.command(arguments))

    def copy_text(self, text: str) -> None:
        """Copy a command line, and show it."""
        self.copy_to_clipboard(text)
        self.notify(f"$ {text}\ncopied", timeout=4, markup=False)

    def perform(self, action: Action, *, then: Callable[[Run], None] | None = None) -> None:
        """Ask, run, show. ``then`` gets the run once it has been started, instead of the usual dialog."""

        def decided(go_on: bool | None) -> None:
            if not go_on:
                return
            run = self.begin(action)
            if then is not None:
                then(run)
            else:
                self.push_screen(RunDialog(run))

        self.push_screen(ActionDialog(action, read_only=self.read_only), decided)

    def fill(self, form: FormDialog) -> None:
        """A form first, then the action it adds up to."""
        self.push_screen(form, lambda action: self.perform(action) if action is not None else None)

    def begin(self, action: Action) -> Run:
        """Run an action that was agreed to."""
        run = Run(action, self)
        self.runs.append(run)
        run.start()
        return run

    def on_advanced(self, event: Advanced) -> None:
        followers = [screen for screen in self.screen_stack if getattr(screen, "run", None) is event.run]
        for screen in followers:
            screen.post_message(Advanced(event.run))
        if event.run.over and event.run in self.runs:
            self.runs.remove(event.run)
            self.feeds.poke(*event.run.action.pokes)
            if not followers:
                self._tell_end(event.run)

    def _tell_end(self, run: Run) -> None:
        if run.problem is None:
            self.notify(f"✓ {run.action.title}", markup=False)
        else:
            self.notify(f"✗ {run.problem.code}: {run.problem.message}", severity="error", markup=False)

    def on_asked(self, event: Asked) -> None:
        said = event.run.board.notes[-60:]
        self.push_screen(Question(event.question, said), lambda yes: event.answer.set_result(bool(yes)))

    async def action_quit(self) -> None:
        self.leave()

    def leave(self) -> None:
        """Leave; the box goes on. Where a verb is under way, only after a yes: it would end half-way."""
        if not self.runs:
            self.exit()
            return
        title = self.runs[-1].action.title.rstrip("?")
        question = f"{title}: this is under way and ends half-way (doing it again goes on). Leave?"
        self.push_screen(Question(question), lambda yes: self.exit() if yes else None)

    def action_command_line(self) -> None:
        self.push_screen(CommandLine())

    def action_help(self) -> None:
        keys: dict[str, str] = {}
        own = sorted(self.screen.active_bindings.values(), key=lambda found: found.node is self.focused)
        for active in own:
            binding = active.binding
            if binding.description and not binding.system:
                keys.setdefault(binding.description, self.get_key_display(binding))
        name = str(getattr(self.screen, "NAME", "") or "this screen")
        self.push_screen(HelpDialog(name, [(key, text) for text, key in keys.items()]))

    def on_unmount(self) -> None:
        self.watcher.stop()
        self.feeds.gate.set()
        self.memory.save(self.memory_file)
