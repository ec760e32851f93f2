"""The logs screen: every component and service in one searchable stream; scrolling up stops the following."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from tui.screens.logs.merging import gather_logs
from tui.screens.logs.widgets import LogsPane
from tui.widgets.base_screen import BoxScreen
from tui.widgets.log_view import LogView


class LogsScreen(BoxScreen):
    """The logs screen. Its feed reads the ends of all logs every two seconds; the pane appends what is
    new.
    """

    NAME = "logs"
    CSS = "#logs { padding: 0; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("c", "as_command", "As command", id="logs.command"),
    ]

    def compose_body(self) -> ComposeResult:
        app = self.box_app
        source = app.source
        feed = app.feeds.make_feed("logs", lambda: gather_logs(source), 2.0)
        yield LogsPane("Logs", feed, id="logs")

    def find_words(self, words: str) -> None:
        """Show only lines with the words, and remember them: the base does so for tables only."""
        self.box_app.memory.filters[self.NAME] = words
        self.query_one(LogView).filter_lines(words)

    def leave_filter(self) -> None:
        """Return to the stream."""
        self.query_one(LogView).focus()

    def copied_text(self) -> str:
        """Return the lines on the screen: the whole stream may be megabytes."""
        return self.query_one(LogView).visible_text()

    def action_as_command(self) -> None:
        """Copy the command that follows one component; the command line has no merged stream."""
        self.box_app.copy_command("logs provider --follow")
