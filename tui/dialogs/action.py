"""The confirmation before an action: what it does, what is lost, and the command that does the same. Cancel
has the focus.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Button, Static

from tui.actions.action import UserAction
from tui.widgets.text import plain_text


class ActionDialog(ModalScreen[bool]):
    """The confirmation dialog; its result is whether to go on. In read-only mode only the command can be
    copied.

    Cancel has the focus: an enter pressed once too often must not change anything.
    """

    CSS_PATH = "dialogs.tcss"
    AUTO_FOCUS = "#cancel"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Cancel", id="dialog.cancel"),
        Binding("y", "copy", "Copy command", id="dialog.copy"),
        Binding("left,h", "app.focus_previous", show=False, id="dialog.previous"),
        Binding("right,l", "app.focus_next", show=False, id="dialog.next"),
    ]

    def __init__(self, action: UserAction, *, read_only: bool) -> None:
        super().__init__()
        self.wanted, self.read_only = action, read_only

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            # Titles and effects hold names that strangers gave to assets: they are never read as markup.
            yield Static(plain_text(self.wanted.title), classes="title")
            for line in self.wanted.effects:
                yield Static(plain_text(f"• {line}"))
            if self.wanted.losses:
                yield Static("This is lost:", classes="losses")
            for line in self.wanted.losses:
                yield Static(plain_text(f"✗ {line}"), classes="losses")
            yield Static(plain_text(f"$ {self.wanted.command}"), classes="command")
            if self.read_only:
                yield Static("Read-only: nothing is changed from here.", classes="quiet")
            with Horizontal(classes="buttons"):
                yield Button("Cancel", id="cancel")
                yield Button(self.wanted.proceed, id="proceed", disabled=self.read_only)
                yield Button("Copy command (y)", id="copy")

    def on_button_pressed(self, event: Button.Pressed) -> None:
        # Copying leaves the dialog open, so that the reader can still decide.
        if event.button.id == "copy":
            self.action_copy()
        else:
            self.dismiss(event.button.id == "proceed")

    def action_leave(self) -> None:
        self.dismiss(False)

    def action_copy(self) -> None:
        self.app.copy_to_clipboard(self.wanted.command)
        self.notify("command copied", timeout=2)


class Question(ModalScreen[bool]):
    """A running verb's question; ``said`` are the notes it wrote before. No has the focus."""

    CSS_PATH = "dialogs.tcss"
    AUTO_FOCUS = "#cancel"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "No", id="question.no"),
        Binding("left,h", "app.focus_previous", show=False, id="dialog.previous"),
        Binding("right,l", "app.focus_next", show=False, id="dialog.next"),
    ]

    def __init__(self, question: str, said: Sequence[str] = ()) -> None:
        super().__init__()
        self.question, self.said = question, said

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            # What the verb said before, which the question refers to.
            if self.said:
                with VerticalScroll(classes="said"):
                    yield Static(plain_text("\n".join(self.said)))
            yield Static(plain_text(self.question), classes="title")
            with Horizontal(classes="buttons"):
                yield Button("No", id="cancel")
                yield Button("Yes", id="proceed")

    def on_button_pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id == "proceed")

    def action_leave(self) -> None:
        self.dismiss(False)
