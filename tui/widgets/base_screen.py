"""The base of all screens: the header with the box and the acting account, the filter, refresh, copy."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Footer, Input, Static

from tui.runtime.app_port import AppPort, port_of
from tui.widgets.header import TopLine
from tui.widgets.live_table import LiveTable
from tui.widgets.pane import Pane, PaneScreen
from tui.widgets.tour import TourBar


class BoxScreen(PaneScreen):
    """A screen of the box. Subclasses compose :meth:`compose_body` and set ``NAME``, the screen's name in
    ``SCREENS``.

    Textual calls an event handler (``on_…``) of every class in the inheritance, so subclasses define
    ``on_mount`` without ``super``. All other methods are ordinary overrides.
    """

    NAME: ClassVar[str] = ""
    FILTER_STAYS: ClassVar[bool] = True
    """True if the filter is remembered by ``NAME``; a screen about one job or object begins without one."""
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (110, "-wide")]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "find", "Filter", id="screen.filter", key_display="/"),
        Binding("r", "refresh_now", "Refresh", show=False, id="screen.refresh"),
        Binding("Y,shift+y,y", "copy", "Copy", show=False, id="screen.copy", key_display="Y"),
        Binding("escape", "back", "Back", show=False, id="screen.back"),
    ]

    @property
    def box_app(self) -> AppPort:
        """The application, for what only it can do."""
        return port_of(self)

    def compose(self) -> ComposeResult:
        """Compose the frame that every screen has. The filter is hidden until it is opened, and its field
        stays in place while it has words.
        """
        # Every screen has the same frame: header, tour, its own body, filter, footer.
        yield TopLine(self.NAME)
        yield TourBar()
        yield from self.compose_body()
        yield Input(placeholder="filter: every word must be found; esc clears", id="filter", compact=True)
        yield Footer()

    def compose_body(self) -> ComposeResult:
        """Compose the panes."""
        yield Static()

    @property
    def is_waiting(self) -> bool:
        """True while a request is scheduled for when the cursor rests."""
        return False

    @property
    def active_table(self) -> LiveTable | None:
        """The table that filter and copy act on: the focused one, else the first."""
        if isinstance(self.focused, LiveTable):
            return self.focused
        return next(iter(self.query(LiveTable)), None)

    def on_mount(self) -> None:
        """Fill in the remembered filter. The panes have their own ``on_mount`` and draw by themselves."""
        self.query_one("#filter", Input).cursor_blink = False
        # A remembered filter is put into the field, so that it is seen to be in force.
        words = self.box_app.memory.filters.get(self.NAME, "") if self.FILTER_STAYS else ""
        if words:
            self.query_one("#filter", Input).value = words
            self.query_one("#filter").display = True

    def on_screen_suspend(self) -> None:
        """Stop the panes' feeds: a screen that is not shown asks nothing."""
        for pane in self.query(Pane):
            pane.pause_feeds()

    def on_screen_resume(self) -> None:
        """Let the panes ask again; they show their last answers at once."""
        for bar in self.query(TourBar):
            bar.redraw_lesson()
        for pane in self.query(Pane):
            pane.resume_feeds()

    def action_find(self) -> None:
        """Open the filter. While the user types, panes that load late do not take the focus."""
        field = self.query_one("#filter", Input)
        field.display = self.finding = True
        field.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter with every key press; enter only closes the field."""
        if event.input.id == "filter":
            self.find_words(event.value)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Leave the filter with enter; its words stay in force and in sight."""
        if event.input.id == "filter":
            event.input.display = bool(event.value)
            self.finding = False
            self.leave_filter()

    def leave_filter(self) -> None:
        """Give the focus back to what is filtered."""
        if self.active_table is not None:
            self.active_table.focus()

    def find_words(self, words: str) -> None:
        """Show only rows that contain these words."""
        if self.NAME and self.FILTER_STAYS:
            self.box_app.memory.filters[self.NAME] = words
        # The first table of the screen; screens with several, or with a log, override this.
        target = next(iter(self.query(LiveTable)), None)
        if target is not None:
            target.filter_rows(words)

    def action_refresh_now(self) -> None:
        """Ask all feeds of this screen now, instead of at their next turn."""
        for pane in self.query(Pane):
            pane.refresh_sources()

    def action_copy(self) -> None:
        """Copy what the subclass says, and show it; a long text by its length only."""
        text = self.copied_text()
        if text:
            # By the terminal (OSC 52), so it works over SSH too; a terminal that refuses says nothing.
            self.app.copy_to_clipboard(text)
            self.notify(
                f"copied {text if len(text) < 60 else f'{len(text)} characters'}", timeout=2, markup=False
            )

    def copied_text(self) -> str:
        """Return the text that ``Y`` copies: the key of the row under the cursor."""
        row = self.active_table.selected_row if self.active_table is not None else None
        return row.key if row else ""

    def action_back(self) -> None:
        """Close the filter if it is open, else go back to the screen below."""
        field = self.query_one("#filter", Input)
        # The same key twice leaves the screen: first the filter goes, then the screen.
        if field.display:
            field.value = ""
            field.display = self.finding = False
            self.leave_filter()
        elif len(self.app.screen_stack) > 1:
            self.app.pop_screen()
