"""Commands by name: the palette (``ctrl+p``) and the command line (``:``) share one table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.screen import ModalScreen
from textual.suggester import SuggestFromList
from textual.widgets import Input

from sandbox.verbs.accounts import ROLES
from tui.actions import box_lifecycle
from tui.runtime.app_port import AppPort, port_of
from tui.runtime.screen_table import SCREENS
from tui.runtime.themes import THEMES


@dataclass(frozen=True)
class PaletteCommand:
    """One command of the palette: its words, its description and what it does."""

    words: str
    text: str
    do: Callable[[], object]


def palette_commands(app: AppPort) -> Iterator[PaletteCommand]:
    """Yield every command that is available now: screens, the box's life, accounts, themes, help and quit."""
    # The default arguments below bind the loop's value; a plain closure would see the last name only.
    for name in SCREENS:
        yield PaletteCommand(name, f"go to {name}", lambda name=name: app.open_screen(name))  # type: ignore[misc]
    yield PaletteCommand(
        "up", "boot or resume the box", lambda: app.perform_action(box_lifecycle.boot_action(app.source))
    )
    yield PaletteCommand(
        "down",
        "stop the box, keep its state",
        lambda: app.perform_action(box_lifecycle.stop_action(app.source)),
    )
    for role in ROLES:
        yield PaletteCommand(f"as {role}", f"act as {role}", lambda role=role: app.act_as(role))  # type: ignore[misc]
    for name in THEMES:
        word = name.removeprefix("c2d-")
        text = f"use the {word} theme"
        yield PaletteCommand(f"theme {word}", text, lambda name=name: app.choose_theme(name))  # type: ignore[misc]
    yield PaletteCommand("help", "the keys of this screen", app.action_help)
    yield PaletteCommand("quit", "leave; the box goes on", app.leave_app)


class BoxCommands(Provider):
    """The palette's view of :func:`palette_commands`: ranked by Textual's fuzzy matcher."""

    async def discover(self) -> Hits:
        """Yield all commands, for an empty search field."""
        for saying in palette_commands(port_of(self.screen)):
            yield DiscoveryHit(saying.words, saying.do, help=saying.text)

    async def search(self, query: str) -> Hits:
        """Yield the commands that match; words and description are both searched."""
        matcher = self.matcher(query)
        for saying in palette_commands(port_of(self.screen)):
            score = matcher.match(f"{saying.words} {saying.text}")
            if score > 0:
                yield Hit(score, matcher.highlight(saying.words), saying.do, help=saying.text)


class CommandLine(ModalScreen[None]):
    """The command line: ``:`` opens it, enter runs the command."""

    DEFAULT_CSS = """
    CommandLine { align: left bottom; background: $background 0%; }
    CommandLine Input { dock: bottom; width: 100%; border: tall $accent; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "app.pop_screen", "Close", id="command.close")]

    def compose(self) -> ComposeResult:
        words = [saying.words for saying in palette_commands(port_of(self))]
        yield Input(placeholder=": jobs, up, as consumer2, theme light …", suggester=SuggestFromList(words))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Run the command that was typed: the exact one, else the first that begins with the words."""
        app = port_of(self)
        said = " ".join(event.value.split()).lower()
        known = {saying.words: saying for saying in palette_commands(app)} | {
            "q": PaletteCommand("q", "", app.leave_app)
        }
        found = known.get(said) or next((s for w, s in known.items() if said and w.startswith(said)), None)
        # The line closes first: a command that opens a dialog must open it on the screen below, not on this
        # one.
        self.app.pop_screen()
        if found is None:
            app.notify(f"nothing is called {said!r}; ctrl+p lists what is", severity="warning", markup=False)
        else:
            self.app.call_later(found.do)
