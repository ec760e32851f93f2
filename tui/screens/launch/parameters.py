"""The dialog for an algorithm's parameters: ``name=value``, a line each; numbers and JSON keep their type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static, TextArea

from c2d_box.client.job_request import parameter_line
from c2d_box.errors import UsageError
from sandbox.verbs.compute.job_parameters import parse_parameters
from tui.widgets.text import plain_text


class ParametersDialog(ModalScreen[Mapping[str, Any] | None]):
    """Edits the parameters; the result is the parameters, or None to leave them as they are."""

    CSS_PATH = "../../dialogs/dialogs.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Cancel", id="parameters.cancel"),
        Binding("ctrl+s", "take", "Take", id="parameters.take"),
    ]

    def __init__(self, known: Mapping[str, Any]) -> None:
        super().__init__()
        self._known = known

    def compose(self) -> ComposeResult:
        """Compose the editor with the parameters that are set now, and a line for what is wrong with them."""
        # Written so that :func:`parse_parameters` reads back the same values and types.
        lines = [parameter_line(name, value) for name, value in self._known.items()]
        with Vertical(classes="dialog -tall"):
            yield Static("Parameters of the algorithm", classes="title", markup=False)
            yield Static(
                "name=value, a line each · ctrl+s takes them · esc leaves", classes="quiet", markup=False
            )
            yield TextArea("\n".join(lines), id="parameters")
            yield Static(id="parameters-problem", classes="losses", markup=False)

    def on_mount(self) -> None:
        """Let the user type at once. A blinking cursor would repaint the screen without end."""
        area = self.query_one(TextArea)
        area.cursor_blink = False
        area.focus()

    def action_leave(self) -> None:
        """Close and keep the parameters as they were."""
        self.dismiss(None)

    def action_take(self) -> None:
        """Close with the parameters; a line that is no ``name=value`` keeps the dialog open."""
        try:
            self.dismiss(parse_parameters(self.query_one(TextArea).text.splitlines()))
        except UsageError as problem:
            self.query_one("#parameters-problem", Static).update(plain_text(problem.message))
