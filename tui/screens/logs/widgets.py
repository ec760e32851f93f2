"""The pane of the merged log stream."""

from __future__ import annotations

from textual.app import ComposeResult

from tui.live.feed import Feed
from tui.screens.logs.merging import fresh_lines, merge_lines
from tui.widgets.log_view import LogView
from tui.widgets.pane import Pane


class LogsPane(Pane):
    """Appends new lines; the title says whether it follows."""

    def __init__(self, title: str, feed: Feed[dict[str, list[str]]], id: str) -> None:
        super().__init__(title, feed, id=id)
        # The last reading of each source, to find the lines that are new in the next one.
        self._seen: dict[str, list[str]] = {}

    def compose_body(self) -> ComposeResult:
        yield LogView(id="stream")

    def on_mount(self) -> None:
        self.focus_first(self.query_one(LogView))

    def show_value(self, value: dict[str, list[str]]) -> None:
        """Append the lines that are new in each source, in one order by time."""
        news = {source: fresh_lines(self._seen.get(source, []), lines) for source, lines in value.items()}
        self._seen = dict(value)
        self.query_one(LogView).extend_lines(merge_lines(news))

    def on_log_view_moved(self) -> None:
        """Say in the title how many lines pass the filter, and whether the view follows."""
        view = self.query_one(LogView)
        self.border_title = f"Logs: {len(view.shown_lines)} of {len(view.lines)} lines · {view.frame_text}"
