"""A view of many log lines: rendered line by line, filtered by words, following only a reader who is at the
end.
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

from tui.text import safe

LIMIT = 100_000
TROUBLE = ("error", "fatal", "critical", "panic", "traceback", "warn")


class LogView(ScrollView, can_focus=True):
    """Lines come by :meth:`extend`; ``words`` filters; nothing moves under a reader who scrolled up."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "scroll_down", show=False, id="log.down"),
        Binding("k", "scroll_up", show=False, id="log.up"),
        Binding("g", "scroll_home", "Top", show=False, id="log.top"),
        Binding("G,shift+g,f", "follow", "Follow", id="log.follow", key_display="f"),
        Binding("t", "trouble", "Only trouble", id="log.trouble"),
    ]
    DEFAULT_CSS = "LogView { height: 1fr; scrollbar-size-horizontal: 1; }"

    class Moved(Message):
        """What is shown, or whether it follows, changed."""

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self.lines: list[str] = []
        self._shown: list[str] = []
        self.words = ""
        self.only_trouble = False
        self.following = True
        self.unread = 0
        self._width = 0

    @property
    def shown(self) -> list[str]:
        """The lines that pass the filter."""
        return self._shown

    def extend(self, lines: list[str]) -> None:
        """Append; the reader's place stays unless it is the end."""
        clean = [safe(line).replace("\n", " ") for line in lines]
        self.lines += clean
        if len(self.lines) > LIMIT:
            del self.lines[: len(self.lines) - LIMIT]
            self._refilter()
            return
        added = [line for line in clean if self._passes(line)]
        self._shown += added
        if not self.following:
            self.unread += len(added)
        self._laid_out(added)

    def clear(self) -> None:
        self.lines, self._shown, self.unread, self._width = [], [], 0, 0
        self._laid_out([])

    def filter(self, words: str) -> None:
        self.words = words
        self._refilter()

    def _passes(self, line: str) -> bool:
        lowered = line.lower()
        if self.only_trouble and not any(word in lowered for word in TROUBLE):
            return False
        return all(word in lowered for word in self.words.lower().split())

    def _refilter(self) -> None:
        self._shown = [line for line in self.lines if self._passes(line)]
        self.unread, self._width = 0, 0
        self._laid_out(self._shown)

    def _laid_out(self, added: list[str]) -> None:
        """Lines that come change the scroll bars at most, not the screen's layout, which costs 20 ms."""
        self._width = max([self._width, *map(len, added)], default=0)
        self.set_reactive(LogView.virtual_size, Size(self._width, len(self._shown)))
        self._scroll_update(self.virtual_size)
        if self.following:
            self.scroll_to(y=self.max_scroll_y, animate=False, force=True)
        self.refresh()
        self.post_message(self.Moved())

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        at_end = new_value >= self.max_scroll_y
        if at_end != self.following:
            self.following = at_end
            self.unread = 0 if at_end else self.unread
            self.post_message(self.Moved())

    def render_line(self, y: int) -> Strip:
        left, top = self.scroll_offset
        width, place = self.size.width, top + y
        base = self.rich_style
        if place >= len(self._shown):
            return Strip.blank(width, base)
        line = self._shown[place]
        style = base + Style(bold=True) if any(word in line.lower() for word in TROUBLE[:5]) else base
        return Strip(list(self._marked(line, style))).crop_extend(left, left + width, base)

    def _marked(self, line: str, style: Style) -> list[Segment]:
        """The line with the first word searched for in reverse."""
        word = next(iter(self.words.lower().split()), "")
        lowered, at, pieces = line.lower(), 0, []
        while word and len(lowered) == len(line) and (found := lowered.find(word, at)) >= 0:
            pieces.append(Segment(line[at:found], style))
            pieces.append(Segment(line[found : found + len(word)], style + Style(reverse=True)))
            at = found + len(word)
        return [*pieces, Segment(line[at:], style)]

    def visible_text(self) -> str:
        """What is on the screen."""
        top = self.scroll_offset.y
        return "\n".join(self._shown[top : top + self.size.height])

    def action_scroll_up(self) -> None:
        self.scroll_up(animate=False, immediate=True)

    def action_scroll_down(self) -> None:
        self.scroll_down(animate=False, immediate=True)

    def action_follow(self) -> None:
        self.following, self.unread = True, 0
        self.scroll_to(y=self.max_scroll_y, animate=False)
        self.post_message(self.Moved())

    def action_trouble(self) -> None:
        self.only_trouble = not self.only_trouble
        self._refilter()
