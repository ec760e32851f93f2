"""What screens, dialogs and widgets may ask of the application: the port, and the one way to reach it.

They stand below :mod:`tui.app`, which builds them, so they know it by this protocol only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    from textual.message_pump import MessagePump
    from textual.notifications import SeverityLevel
    from textual.screen import Screen
    from textual.theme import Theme

    from c2d_box.client import JobDetails
    from tui.actions.action import UserAction
    from tui.actions.run import ActionRun
    from tui.backend.port import BackendPort
    from tui.live.feed import Clock
    from tui.live.feed_registry import FeedRegistry
    from tui.runtime.ui_state import UiState


class AppPort(Protocol):
    """The application of one box, as everything on its screen sees it.

    Whatever would need an import of :mod:`tui.app` from a screen goes through here.
    """

    # The box; the only way in which screens read or change anything.
    source: BackendPort
    # Shared readings of the box: two widgets that show one thing ask once.
    feeds: FeedRegistry
    memory: UiState
    # The time as tests can set it; screens show ages by it.
    clock: Clock
    # True where the user asked for a TUI that changes nothing.
    read_only: bool
    started: str
    """The job started last, until the table of jobs has pointed at it."""

    @property
    def publisher(self) -> str:
        """The account that publishes: the usual role, or the one chosen with :meth:`act_as`."""
        ...

    @property
    def consumer(self) -> str:
        """The account that orders and computes: the usual role, or the one chosen with :meth:`act_as`."""
        ...

    @property
    def current_theme(self) -> Theme:
        """The theme in use, for widgets that draw with its colours themselves."""
        ...

    def open_screen(self, name: str) -> None:
        """Show the screen of this name."""
        ...

    def key_of(self, screen: str) -> str:
        """Return the key that opens the screen of this name, as the user has bound it."""
        ...

    def tour_to(self, step: int) -> None:
        """Show a lesson of the tour; a negative step hides the tour."""
        ...

    def act_as(self, who: str | None) -> None:
        """Act as another account from now on; None means the usual roles."""
        ...

    def choose_theme(self, theme: str) -> None:
        """Use a theme, now and in later runs."""
        ...

    def note_started(self, job: JobDetails) -> None:
        """Remember the job started last."""
        ...

    def command_line(self, arguments: str) -> str:
        """Return the command line for this box and the chosen account."""
        ...

    def copy_command(self, arguments: str) -> None:
        """Copy such a command line, and show it."""
        ...

    def copy_text(self, text: str) -> None:
        """Copy a whole command line, and show it."""
        ...

    def notify(
        self,
        message: str,
        *,
        title: str = "",
        severity: SeverityLevel = "information",
        timeout: float | None = None,
        markup: bool = True,
    ) -> None:
        """Show a notice, as Textual's ``App.notify`` does.

        Pass ``markup=False`` for text from elsewhere: a name with brackets would be read as markup.
        """
        ...

    def perform_action(self, action: UserAction, *, then: Callable[[ActionRun], None] | None = None) -> None:
        """Confirm, run and show an action. ``then`` gets the started run, instead of the usual dialog."""
        ...

    def fill_form(
        self, form: Screen[UserAction | None], *, then: Callable[[ActionRun], None] | None = None
    ) -> None:
        """Show a form, then confirm and run the action that its values make."""
        ...

    def action_help(self) -> None:
        """List the keys of the screen that is shown."""
        ...

    def leave_app(self) -> None:
        """Leave the TUI; the box goes on."""
        ...


def port_of(node: MessagePump) -> AppPort:
    """Return the application that this screen or widget belongs to; ``tui.app`` lets mypy check the cast."""
    # ``node.app`` is typed as Textual's own class; ``_PORT`` in :mod:`tui.app` proves that the cast holds.
    return cast("AppPort", node.app)
