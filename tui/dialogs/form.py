"""A form: fields, a live preview of what they mean, and the action they add up to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Label, Select, Static

from c2d_box.errors import C2DError
from tui.actions import Action
from tui.text import plain

Values = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Field:
    """One line of the form; with ``choices`` it is a choice among them."""

    name: str
    label: str
    value: str = ""
    choices: tuple[str, ...] = ()
    placeholder: str = ""


class FormDialog(ModalScreen[Action | None]):
    """``preview`` words the values; ``action`` makes the action of them or raises why it cannot be."""

    CSS_PATH = ["dialogs.tcss", "form.tcss"]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Cancel"),
        Binding("ctrl+s", "go_on", "Go on"),
    ]

    def __init__(
        self,
        title: str,
        fields: tuple[Field, ...],
        preview: Callable[[Values], str],
        action: Callable[[Values], Action],
    ) -> None:
        super().__init__()
        self.heading, self.fields = title, fields
        self._preview, self._action = preview, action

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog -tall -form"):
            yield Static(plain(self.heading), classes="title")
            with Horizontal():
                with VerticalScroll(id="form-fields"):
                    for field in self.fields:
                        yield Label(field.label)
                        yield self._widget(field)
                with VerticalScroll(id="form-preview"):
                    yield Static(id="preview", markup=False)
            yield Static(id="form-problem", markup=False)
            with Horizontal(classes="buttons"):
                yield Button("Cancel", id="cancel", compact=True)
                yield Button("Go on (ctrl+s)", id="proceed", compact=True)

    def _widget(self, field: Field) -> Input | Select[str]:
        if field.choices:
            options = [(choice, choice) for choice in field.choices]
            return Select(
                options, value=field.value or field.choices[0], id=field.name, allow_blank=False, compact=True
            )
        return Input(field.value, placeholder=field.placeholder, id=field.name, compact=True)

    @property
    def values(self) -> Values:
        """What the fields say now."""
        return {
            field.name: str(
                self.query_one(f"#{field.name}", Select).value
                if field.choices
                else self.query_one(f"#{field.name}", Input).value
            )
            for field in self.fields
        }

    def on_mount(self) -> None:
        self._redraw()

    def on_input_changed(self, _event: Input.Changed) -> None:
        self._redraw()

    def on_select_changed(self, _event: Select.Changed) -> None:
        self._redraw()

    def on_input_submitted(self, _event: Input.Submitted) -> None:
        self.focus_next()

    def _redraw(self) -> None:
        self.query_one("#preview", Static).update(plain(self._preview(self.values)))
        self.query_one("#form-problem", Static).update("")

    def on_button_pressed(self, event: Button.Pressed) -> None:
        if event.button.id == "proceed":
            self.action_go_on()
        else:
            self.dismiss(None)

    def action_leave(self) -> None:
        self.dismiss(None)

    def action_go_on(self) -> None:
        try:
            self.dismiss(self._action(self.values))
        except C2DError as problem:
            text = f"✗ {problem.message}; {problem.next_step}"
            self.query_one("#form-problem", Static).update(plain(text))
