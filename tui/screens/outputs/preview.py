"""Results made readable: text as text, CSV as a table, JSON indented; nothing of it is obeyed."""

from __future__ import annotations

import csv
import io
import json
from typing import Any, ClassVar

from rich.console import Group, RenderableType
from rich.syntax import Syntax
from rich.table import Table
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widgets import Static

from tui.boxscreen import BoxScreen
from tui.panes import Pane
from tui.screens.jobs.actions import saving
from tui.text import one_line, plain, safe, size

LARGEST = 2 << 20
ROWS, CHARACTERS = 300, 200_000


def preview(name: str, content: bytes, *, dark: bool = True) -> RenderableType:
    """The beginning of ``content``, by what its name says it is."""
    if b"\0" in content[:4096]:
        return plain(f"binary, {size(len(content))}: s saves it")
    text = content.decode(errors="replace")
    if name.endswith(".json"):
        return _json(text, dark)
    if name.endswith((".csv", ".tsv")):
        return _table(text, "\t" if name.endswith(".tsv") else ",")
    return _cut(text)


def _cut(text: str) -> RenderableType:
    rest = len(text) - CHARACTERS
    return plain(text[:CHARACTERS] + (f"\n… and {rest} characters more" if rest > 0 else ""))


def _json(text: str, dark: bool) -> RenderableType:
    try:
        drawn = json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return _cut(text)
    theme = "ansi_dark" if dark else "ansi_light"
    return Syntax(safe(drawn[:CHARACTERS]), "json", theme=theme, background_color="default", word_wrap=True)


def _table(text: str, delimiter: str) -> RenderableType:
    try:
        rows = list(csv.reader(io.StringIO(text[:CHARACTERS]), delimiter=delimiter))
    except csv.Error:
        return _cut(text)
    if not rows:
        return plain("empty")
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in rows[0]:
        table.add_column(plain(one_line(title)), no_wrap=True)
    width = len(rows[0])
    for row in rows[1 : ROWS + 1]:
        table.add_row(*(plain(one_line(cell)) for cell in row[:width]))
    rest = len(rows) - 1 - ROWS
    return Group(table, plain(f"… and {rest} rows more")) if rest > 0 else table


class PreviewPane(Pane):
    """One result's content; asked for once, as results do not change."""

    def __init__(self, title: str, id: str | None = None) -> None:
        super().__init__(title, id=id)
        self._file = ""

    def body(self) -> ComposeResult:
        with VerticalScroll(can_focus=True):
            yield Static(id="preview-body", markup=False)

    def look_at(self, job_id: str, entry: dict[str, Any], index: int) -> None:
        """Show this result from now on."""
        self.pause()
        app = self.box_app
        self._file = str(entry["filename"])
        self.border_title = one_line(f"{self._file} · {size(entry.get('filesize'))}")
        body = self.query_one("#preview-body", Static)
        if int(entry.get("filesize") or 0) > LARGEST:
            self.feeds = ()
            body.update(f"larger than {size(LARGEST)}: s saves it")
            return
        body.update("…")
        source, who = app.source, app.consumer
        self.feeds = (app.feeds.one("result", lambda: source.read_result(who, job_id, index), 3600.0),)
        self.resume()

    def show(self, value: Any) -> None:
        drawn = preview(self._file, value, dark=self.box_app.current_theme.dark)
        self.query_one("#preview-body", Static).update(drawn)


class PreviewScreen(BoxScreen):
    """One result on the whole screen."""

    NAME = "outputs"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "save", "Save", id="preview.save"),
        Binding("j", "scroll(1)", show=False),
        Binding("k", "scroll(-1)", show=False),
        Binding("c", "as_command", "As command", id="preview.command"),
    ]

    def __init__(self, job_id: str, index: int, entry: dict[str, Any]) -> None:
        super().__init__()
        self.job_id, self.index, self.entry = job_id, index, entry

    def body(self) -> ComposeResult:
        yield PreviewPane("Result")

    def on_mount(self) -> None:
        self.query_one(PreviewPane).look_at(self.job_id, self.entry, self.index)
        self.query_one(VerticalScroll).focus()

    def copied(self) -> str:
        return self.box_app.command(f"results {self.job_id} {self.index} --to .")

    def action_scroll(self, lines: int) -> None:
        self.query_one(VerticalScroll).scroll_relative(y=lines, animate=False)

    def action_save(self) -> None:
        self.box_app.perform(saving(self.box_app, self.job_id, self.index))

    def action_as_command(self) -> None:
        self.box_app.copy_command(f"results {self.job_id} {self.index} --to .")
