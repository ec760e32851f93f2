"""A form: fields, a live preview of their values, and the result they make, which is mostly an action."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar, Generic, TypeVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.timer import Timer
from textual.widgets import Button, Input, Label, Select, Static
from textual.worker import Worker, get_current_worker

from c2d_box.errors import C2DError
from tui.dialogs.files import FilePicker
from tui.widgets.text import plain_text

Values = Mapping[str, str]
T = TypeVar("T")
REST = 0.15
"""Seconds without a key press after which the preview is computed again."""


@dataclass(frozen=True, slots=True)
class FormField:
    """One line of the form; with ``choices`` it is a selection instead of free text."""

    name: str
    label: str
    value: str = ""
    choices: tuple[str, ...] = ()
    file: bool = False
    """The value is a path: ctrl+o picks one from a tree."""
    placeholder: str = ""


class FormDialog(ModalScreen[T | None], Generic[T]):
    """``preview`` describes the values in words; ``meant`` makes the result of them, or raises why it cannot.

    ``preview`` runs in a thread and may ask the box. ``meant`` runs in the event loop and must not block.
    """

    CSS_PATH = "dialogs.tcss"
    # Off: ``on_mount`` sets the focus itself.
    AUTO_FOCUS = ""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Cancel", id="form.cancel"),
        Binding("ctrl+s", "go_on", "Go on", id="form.go"),
        Binding("ctrl+o", "pick", "Pick a file", id="form.pick"),
    ]

    def __init__(
        self,
        title: str,
        fields: tuple[FormField, ...],
        preview: Callable[[Values], str],
        meant: Callable[[Values], T],
    ) -> None:
        super().__init__()
        self.heading, self.fields = title, fields
        self._preview, self._meant = preview, meant
        self._soon: Timer | None = None
        self._asking: Worker[None] | None = None

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog -tall -form"):
            yield Static(plain_text(self.heading), classes="title")
            with Horizontal():
                with VerticalScroll(id="form-fields", can_focus=False):
                    for field in self.fields:
                        yield Label(field.label)
                        yield self._field_widget(field)
                with VerticalScroll(id="form-preview"):
                    yield Static(id="preview", markup=False)
            yield Static(id="form-problem", markup=False)
            with Horizontal(classes="buttons"):
                yield Button("Cancel", id="cancel", compact=True)
                yield Button("Go on (ctrl+s)", id="proceed", compact=True)

    def _field_widget(self, field: FormField) -> Input | Select[str]:
        if field.choices:
            options = [(choice, choice) for choice in field.choices]
            return Select(
                options, value=field.value or field.choices[0], id=field.name, allow_blank=False, compact=True
            )
        line = Input(field.value, placeholder=field.placeholder, id=field.name, compact=True)
        # A blinking cursor would repaint the dialog twice a second for ever.
        line.cursor_blink = False
        return line

    @property
    def field_values(self) -> Values:
        """The current values by field name."""
        return {
            field.name: str(
                self.query_one(f"#{field.name}", Select).value
                if field.choices
                else self.query_one(f"#{field.name}", Input).value
            )
            for field in self.fields
        }

    def on_mount(self) -> None:
        """Focus the first field without scrolling; Textual's own focus would scroll its label away."""
        self.set_focus(self.query_one(f"#{self.fields[0].name}"), scroll_visible=False)
        self._preview_soon()

    def on_input_changed(self, _event: Input.Changed) -> None:
        self._preview_soon()

    def on_select_changed(self, _event: Select.Changed) -> None:
        self._preview_soon()

    def on_input_submitted(self, _event: Input.Submitted) -> None:
        """Go to the next field: enter alone never confirms a form."""
        self.focus_next()

    def _preview_soon(self) -> None:
        """Recompute the preview once no key was pressed for ``REST`` seconds: a preview may ask the box."""
        # The problem was about the values before this change.
        self.query_one("#form-problem", Static).update("")
        if self._soon is not None:
            self._soon.stop()
        self._soon = self.set_timer(REST, self._start_preview)

    def _start_preview(self) -> None:
        self._soon = None
        self._asking = self.run_worker(
            partial(self._show_preview, dict(self.field_values)),
            thread=True,
            # Cancels the worker of an older preview; a thread cannot be stopped, so it runs to its end, and
            # what it found is not shown.
            exclusive=True,
            exit_on_error=False,
        )

    def _show_preview(self, values: Values) -> None:
        try:
            text = self._preview(values)
        except C2DError as problem:
            # A preview that fails (a box that is down) must not keep the user from filling in the form.
            text = f"✗ {problem.message}"
        # Widgets may only be touched in the event loop.
        self.app.call_from_thread(self._draw_preview, get_current_worker(), text)

    def _draw_preview(self, worker: Worker[None], text: str) -> None:
        if not worker.is_cancelled:
            self.query_one("#preview", Static).update(plain_text(text))

    @property
    def is_waiting(self) -> bool:
        """True while a preview is scheduled or being computed."""
        return self._soon is not None or (self._asking is not None and not self._asking.is_finished)

    def action_pick(self) -> None:
        """Pick a file for the field that holds a path, if there is one."""
        field = next((field for field in self.fields if field.file), None)
        if field is None:
            return
        line = self.query_one(f"#{field.name}", Input)

        def picked(path: Path | None) -> None:
            if path is not None:
                line.value = str(path)
            line.focus()

        self.app.push_screen(FilePicker(Path(line.value or ".")), picked)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        if event.button.id == "proceed":
            self.action_go_on()
        else:
            self.dismiss(None)

    def action_leave(self) -> None:
        self.dismiss(None)

    def action_go_on(self) -> None:
        """Close with the result. A value that cannot be meant keeps the form open, with the reason
        below it.
        """
        try:
            self.dismiss(self._meant(self.field_values))
        except C2DError as problem:
            text = f"✗ {problem.message}; {problem.next_step}"
            self.query_one("#form-problem", Static).update(plain_text(text))
