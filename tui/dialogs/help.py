"""``?``: every key that works here, and the command line that every screen stands for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static


def listed_keys(app: App[Any]) -> list[tuple[str, str]]:
    """Return the keys that work on the screen now, as the user has bound them, with what they do."""
    keys: dict[str, str] = {}
    # Bindings of the focused widget come last, and of several bindings with one description the first is
    # listed.
    for active in sorted(app.screen.active_bindings.values(), key=lambda found: found.node is app.focused):
        binding = active.binding
        if binding.description and not binding.system:
            keys.setdefault(binding.description, app.get_key_display(binding))
    return [(key, text) for text, key in keys.items()]


class HelpDialog(ModalScreen[None]):
    """A list of keys with what they do."""

    CSS_PATH = "dialogs.tcss"
    AUTO_FOCUS = ".graph"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark", "app.pop_screen", "Close", id="help.close"),
        Binding("j", "down", show=False, id="help.down"),
        Binding("k", "up", show=False, id="help.up"),
    ]

    def __init__(self, title: str, keys: Iterable[tuple[str, str]]) -> None:
        super().__init__()
        self.heading, self.keys = title, list(keys)

    def compose(self) -> ComposeResult:
        width = max((len(key) for key, _ in self.keys), default=0)
        with Vertical(classes="dialog -tall"):
            yield Static(f"{self.heading}: keys", classes="title", markup=False)
            with VerticalScroll(classes="graph"):
                lines = "\n".join(f"{key:<{width}}  {text}" for key, text in self.keys)
                yield Static(lines, markup=False)

    def action_down(self) -> None:
        self.query_one(VerticalScroll).scroll_down(animate=False)

    def action_up(self) -> None:
        self.query_one(VerticalScroll).scroll_up(animate=False)
