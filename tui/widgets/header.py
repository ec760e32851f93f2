"""The header of every screen: the box and its state, the acting accounts, and the screens by key."""

from __future__ import annotations

from rich.text import Text
from textual.widgets import Static

from tui.live.feed import FeedAnswered
from tui.runtime.app_port import port_of
from tui.runtime.screen_table import SCREENS


class TopLine(Static):
    """The header: one line about the box, one that lists the screens. ``current`` is the name of the screen
    that is shown, and is marked.
    """

    DEFAULT_CSS = "TopLine { dock: top; height: 2; background: $panel; padding: 0 1; }"

    def __init__(self, current: str) -> None:
        super().__init__(markup=False)
        self._current = current

    def on_mount(self) -> None:
        """Listen to the box's state. The feed asks once, however many screens are on the stack."""
        port_of(self).feeds.status.add_listener(self)
        # The line holds colours of the theme, not variables, so it is drawn again with a new one.
        self.app.theme_changed_signal.subscribe(self, lambda _theme: self.redraw_line())
        self.redraw_line()

    def on_resize(self) -> None:
        """Draw again: the titles are cut to the width."""
        self.redraw_line()

    def on_unmount(self) -> None:
        """Leave the feed."""
        port_of(self).feeds.status.remove_listener(self)

    def on_feed_answered(self, event: FeedAnswered) -> None:
        """Draw a changed state; an answer without a change leaves the line as it is."""
        if event.changed:
            self.redraw_line()

    def redraw_line(self) -> None:
        """Draw the header anew. A state that could not be read is ``unknown``: the last one may be long
        wrong.
        """
        app = port_of(self)
        reading = app.feeds.status.reading
        state = reading.value.state if reading.value and not reading.problem else "unknown"
        mark = {"running": "●", "unknown": "?", "absent": "○", "stopped": "○"}.get(state, "◐")
        line = Text(no_wrap=True, overflow="ellipsis")
        line.append(f"c2d-box {app.source.name} ", "bold")
        line.append(f"{mark} {state}")
        line.append(f"  as {app.publisher} / {app.consumer}", "dim")
        if app.read_only:
            line.append("  read-only", f"bold {app.current_theme.warning}")
        line.append("\n")
        for name, word in self._header_words().items():
            style = f"bold reverse {app.current_theme.primary}" if name == self._current else ""
            line.append(word, style)
            line.append(" ")
        self.update(line)

    def _header_words(self) -> dict[str, str]:
        """Return each screen's key and title, the titles cut as far as it takes to show all keys."""
        keys = {name: port_of(self).key_of(name) for name in SCREENS}
        words = {name: key + SCREENS[name].title for name, key in keys.items()}
        width, longest = self.content_size.width, max(len(entry.title) for entry in SCREENS.values())
        while width and longest and sum(map(len, words.values())) + len(words) - 1 > width:
            # All titles get shorter together, letter by letter, so that the row looks even.
            longest -= 1
            words = {name: key + SCREENS[name].title[:longest] for name, key in keys.items()}
        return words
