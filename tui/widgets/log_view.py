"""A view of many log lines: rendered line by line, filtered by words; it follows only while the reader is at
the end. Matches can also be visited among all lines, as in a pager: one line seldom explains itself.
"""

from __future__ import annotations

from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tui.widgets.text import safe_text

# Lines kept in memory; the oldest are dropped beyond that.
LIMIT = 100_000
# Words of lines that t shows; all but the last also make a line bold.
TROUBLE = ("error", "fatal", "critical", "panic", "traceback", "warn")


class LogView(ScrollView, can_focus=True):
    """Shows lines added by :meth:`extend_lines`; ``words`` filters; nothing moves for a reader who has
    scrolled up.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "scroll_down", show=False, id="log.down"),
        Binding("k", "scroll_up", show=False, id="log.up"),
        Binding("g", "scroll_home", "Top", show=False, id="log.top"),
        Binding("G,shift+g,f", "follow", "Follow", id="log.follow", key_display="f"),
        Binding("t", "trouble", "Only trouble", id="log.trouble"),
        Binding("n", "match(1)", "Next match", id="log.next"),
        Binding("N,shift+n", "match(-1)", "Previous", id="log.previous", key_display="N"),
    ]
    DEFAULT_CSS = "LogView { height: 1fr; scrollbar-size-horizontal: 1; }"

    ABOVE = 3
    """Lines of context shown above a match."""

    class Moved(Message):
        """The shown lines, or whether the view follows, changed."""

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self.lines: list[str] = []
        self._shown: list[str] = []
        self.words = ""
        self.only_trouble = False
        self.following = True
        self.unread = 0
        self.found: int | None = None
        """Index of the match shown last; None while only matching lines are shown."""
        self._width = 0

    @property
    def frame_text(self) -> str:
        """A description of the mode for the frame: following, paused or at a match."""
        if self.found is not None:
            return f"line {self.found + 1} has it · n N go on, / filters"
        moves = "following" if self.following else f"paused, {self.unread} new · f follows"
        return f"{moves} · only trouble" if self.only_trouble else moves

    @property
    def shown_lines(self) -> list[str]:
        """The lines that pass the filter."""
        return self._shown

    def extend_lines(self, lines: list[str]) -> None:
        """Append lines; the scroll position stays unless the view follows."""
        # A container's output is untrusted; one entry must stay one line, or the line numbers would be wrong.
        clean = [safe_text(line).replace("\n", " ") for line in lines]
        self.lines += clean
        if len(self.lines) > LIMIT:
            # The filter runs over all lines again: rare, as it needs 100,000 lines first.
            self._drop_oldest(len(self.lines) - LIMIT)
            return
        added = [line for line in clean if self._passes_filter(line)]
        self._shown += added
        if not self.following:
            self.unread += len(added)
        self._laid_out(added)

    def _drop_oldest(self, count: int) -> None:
        """Forget the oldest lines."""
        if self.found is not None:
            # The match moves up by the shown lines that are dropped.
            self.found = max(self.found - sum(map(self._passes_filter, self.lines[:count])), 0)
        del self.lines[:count]
        self._filter_again()

    def clear_lines(self) -> None:
        """Forget all lines; the words of the filter stay in force."""
        self.lines, self._shown, self.unread, self._width = [], [], 0, 0
        self.found = None
        self._laid_out([])

    def filter_lines(self, words: str) -> None:
        """Show only lines that have every word."""
        self.words, self.found = words, None
        self._filter_again()
        self.refresh_bindings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer n and N only while there are words to match; otherwise the keys keep their other meaning."""
        return bool(self.words.split()) if action == "match" else True

    def _passes_filter(self, line: str) -> bool:
        """Return whether a line is shown. At a match all lines are, so that the reader sees what stands
        around it.
        """
        lowered = line.lower()
        if self.only_trouble and not any(word in lowered for word in TROUBLE):
            return False
        return self.found is not None or self._has_words(lowered)

    def _has_words(self, lowered: str) -> bool:
        """Return whether a line, in lower case, has every word of the filter."""
        return all(word in lowered for word in self.words.lower().split())

    def _filter_again(self) -> None:
        """Apply the filter to all lines. Nothing counts as unread afterwards, because the reader looks at a
        new list.
        """
        self._shown = [line for line in self.lines if self._passes_filter(line)]
        self.unread, self._width = 0, 0
        self._laid_out(self._shown)

    def _laid_out(self, added: list[str]) -> None:
        """Update the scroll bars only: new lines do not change the screen's layout, and a layout
        costs 20 ms.
        """
        self._width = max([self._width, *map(len, added)], default=0)
        # ``set_reactive`` skips the watchers, which would lay out the whole screen.
        self.set_reactive(LogView.virtual_size, Size(self._width, len(self._shown)))
        self._scroll_update(self.virtual_size)
        if self.following:
            self.scroll_to(y=self.max_scroll_y, animate=False, force=True)
        self.refresh()
        self.post_message(self.Moved())

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Follow when the reader reaches the end, and stop following when the reader leaves it."""
        super().watch_scroll_y(old_value, new_value)
        at_end = new_value >= self.max_scroll_y and self.found is None
        if at_end != self.following:
            self.following = at_end
            self.unread = 0 if at_end else self.unread
            self.post_message(self.Moved())

    def render_line(self, y: int) -> Strip:
        """Draw one line of the view; called for visible lines only, however many there are."""
        left, top = self.scroll_offset
        width, place = self.size.width, top + y
        base = self.rich_style
        # Below the last line.
        if place >= len(self._shown):
            return Strip.blank(width, base)
        line = self._shown[place]
        style = base + Style(bold=True) if any(word in line.lower() for word in TROUBLE[:5]) else base
        style = style + Style(underline=True) if place == self.found else style
        return Strip(list(self._marked_line(line, style))).crop_extend(left, left + width, base)

    def _marked_line(self, line: str, style: Style) -> list[Segment]:
        """Return the line with the first search word in reverse video, wherever it occurs.

        Lower case may have another length (``İ``); then positions would not fit and nothing is marked.
        """
        word = next(iter(self.words.lower().split()), "")
        lowered, at, pieces = line.lower(), 0, []
        while word and len(lowered) == len(line) and (found := lowered.find(word, at)) >= 0:
            pieces.append(Segment(line[at:found], style))
            pieces.append(Segment(line[found : found + len(word)], style + Style(reverse=True)))
            at = found + len(word)
        return [*pieces, Segment(line[at:], style)]

    def visible_text(self) -> str:
        """Return the lines that are on the screen."""
        top = self.scroll_offset.y
        return "\n".join(self._shown[top : top + self.size.height])

    def action_scroll_up(self) -> None:
        """Scroll a line without animation, which a held key would outrun."""
        self.scroll_up(animate=False, immediate=True)

    def action_scroll_down(self) -> None:
        """Scroll a line without animation, as :meth:`action_scroll_up` does."""
        self.scroll_down(animate=False, immediate=True)

    def action_follow(self) -> None:
        """Go to the end and follow; at a match, return to the filtered lines first."""
        if self.found is not None:
            self.filter_lines(self.words)
        self.following, self.unread = True, 0
        self.scroll_to(y=self.max_scroll_y, animate=False)
        self.post_message(self.Moved())

    def action_trouble(self) -> None:
        """Show only lines with a word of trouble, or all again."""
        self.only_trouble, self.found = not self.only_trouble, None
        self._filter_again()

    def action_match(self, step: int) -> None:
        """Go to the next line with the words (or the previous one), among all lines."""
        if self.found is None:
            self._show_all_lines(step)
            return
        places = range(self.found + step, len(self._shown) if step > 0 else -1, step)
        at = next((place for place in places if self._has_words(self._shown[place].lower())), None)
        if at is None:
            self.app.notify("no further match", timeout=2)
        else:
            self._scroll_to_match(at)

    def _show_all_lines(self, step: int) -> None:
        """Show all lines again, at the first or the last match that was on the screen. Before, only matches
        were shown, so a position on the screen is the count of a match.
        """
        top = self.scroll_offset.y
        seen = min(top if step > 0 else top + self.size.height - 1, len(self._shown) - 1)
        if seen < 0:
            self.app.notify("no match", timeout=2)
            return
        self.found, self.following = 0, False
        self._filter_again()
        matches = (place for place, line in enumerate(self._shown) if self._has_words(line.lower()))
        self._scroll_to_match(next(place for count, place in enumerate(matches) if count == seen))

    def _scroll_to_match(self, at: int) -> None:
        """Show the match with some lines above it, and stop following: new lines would move it out of
        sight.
        """
        self.found, self.following = at, False
        self.scroll_to(y=max(at - self.ABOVE, 0), animate=False, immediate=True)
        self.refresh()
        self.post_message(self.Moved())
