"""A pane: a titled part of a screen that says how old its data is, and when its source is unreachable.

Subclasses compose their widgets and implement :meth:`Pane.show_value`, which is only called when something
changed.
"""

from __future__ import annotations

from typing import Any

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message
from textual.screen import Screen
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Static

from tui.live.feed import Feed, FeedAnswered
from tui.runtime.app_port import AppPort, port_of
from tui.widgets.text import age_text, one_line, plain_text


class ListChanged(Message):
    """A pane's list was updated, so the chosen row may be another, without a key press. Screens that act on
    the choice listen to it."""


class PaneScreen(Screen[None]):
    """A screen of panes."""

    finding = False
    """True while the user is typing in the filter: panes that load late must not take the focus then."""


class Pane(Vertical):
    """Shows the answers of its feeds; the frame shows the age of the oldest answer.

    A pane keeps its last value when its source is away, and says so in the frame: an old picture with its age
    is worth more than an empty one.
    """

    DEFAULT_CSS = """
    Pane { border: round $primary; padding: 0 1; height: 1fr; }
    Pane:focus-within { border: round $accent; }
    Pane > .gone { color: $text-error; display: none; height: auto; max-height: 4; }
    Pane.-gone > .gone { display: block; }
    Pane.-gone { border: round $error; }
    Pane > .body { height: 1fr; }
    """

    def __init__(self, title: str, *feeds: Feed[Any], id: str | None = None) -> None:
        super().__init__(id=id)
        self.border_title = title
        self.feeds = feeds
        # Tests wait until these numbers have caught up with the feeds.
        self.heard: dict[Feed[Any], int] = {}
        """The number of the last answer of each feed that is on the screen."""
        self._ticking: Timer | None = None
        self._told = ""
        self._remark = ""

    @property
    def box_app(self) -> AppPort:
        """The application, for what only it can do."""
        return port_of(self)

    def compose(self) -> ComposeResult:
        """Compose the notice, which is shown while a source is away, and the subclass's own widgets below
        it.
        """
        yield Static(classes="gone", markup=False)
        yield from self.compose_body()

    def compose_body(self) -> ComposeResult:
        """The widgets below the notice."""
        yield Static(classes="body", markup=False)

    def show_value(self, value: Any) -> None:
        """Draw ``value``, the newest answer."""

    def show_again(self) -> None:
        """Draw the last answer once more, after something changed that no feed reports: the acting account, a
        mark.
        """
        if self.feeds and self.feeds[0].reading.value is not None:
            self.show_value(self.feeds[0].reading.value)

    def on_mount(self) -> None:
        """Start the clock of the age and join the feeds."""
        self._ticking = self.set_interval(1, self.tick_second)
        self.resume_feeds()

    def on_unmount(self) -> None:
        """Leave the feeds: one without listeners stops asking."""
        self.pause_feeds()

    def resume_feeds(self) -> None:
        """Join the feeds again; their last answers arrive at once."""
        if self._ticking is not None:
            self._ticking.resume()
        for feed in self.feeds:
            feed.add_listener(self)
        self.tell_age()

    def pause_feeds(self) -> None:
        """Leave the feeds and stop the clock; called when the screen is hidden or closed."""
        if self._ticking is not None:
            self._ticking.pause()
        for feed in self.feeds:
            feed.remove_listener(self)

    def focus_first(self, widget: Widget) -> None:
        """Focus the widget that gets keys first, unless the user is typing in the filter."""
        if not (isinstance(self.screen, PaneScreen) and self.screen.finding):
            widget.focus()

    def tick_second(self) -> None:
        """Called once a second while the pane is visible."""
        self.tell_age()

    def refresh_sources(self) -> None:
        """Refresh the feeds now."""
        for feed in self.feeds:
            feed.refresh_now()

    async def on_feed_answered(self, event: FeedAnswered) -> None:
        """Draw a changed answer; an unchanged one only renews the age."""
        if event.changed:
            await self.take_feed(event.feed)
        # After drawing, so that the number means "on the screen".
        self.heard[event.feed] = event.count
        self.tell_age()

    async def take_feed(self, feed: Feed[Any]) -> None:
        """Handle a changed answer of a feed; panes that draw several feeds together override this."""
        if feed.reading.value is not None:
            self.show_value(feed.reading.value)

    def set_remark(self, text: str) -> None:
        """Set the text that the lower frame shows besides the age."""
        self._remark = text
        if self.feeds:
            self.tell_age()
        else:
            self.set_footnote("")

    def set_footnote(self, text: str) -> None:
        """Set the lower frame's text; the pane is only repainted if it differs."""
        text = " · ".join(part for part in (self._remark, text) if part)
        if text != self._told:
            # Setting the subtitle repaints the whole frame, every second and in every pane.
            self.border_subtitle = self._told = text

    def tell_age(self) -> None:
        """Show how old the oldest answer is, and the problem if a feed has one."""
        if not self.feeds:
            return
        now = self.box_app.clock()
        # One notice is enough: the first feed that fails.
        gone = next((feed.reading for feed in self.feeds if feed.reading.problem), None)
        times = [feed.reading.at for feed in self.feeds if feed.reading.at is not None]
        # The oldest answer: a pane that draws several feeds is only as fresh as that.
        seen = age_text(now - min(times)) if times else ""
        self.set_class(gone is not None, "-gone")
        if gone is None:
            self.set_footnote(seen or "asking …")
            return
        self.set_footnote(f"gone · last seen {seen}" if seen else "gone")
        problem = gone.problem
        assert problem is not None
        text = f"✗ {problem.code}: {one_line(problem.message)}"
        notice = self.query_one(".gone", Static)
        notice.update(
            plain_text(f"{text}\n  next: {one_line(problem.next_step)}" if problem.next_step else text)
        )
