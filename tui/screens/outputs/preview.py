"""Previews of results: text as text, CSV as a table, JSON indented, pictures as cells. The content is
untrusted: no escape sequence or markup in it takes effect.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from typing import Any, ClassVar

from rich.console import Group, RenderableType
from rich.syntax import Syntax
from rich.table import Table
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widget import Widget
from textual.widgets import Static

from c2d_box.strict_json import JsonRefused, parse_json
from tui.screens.jobs.actions import saving
from tui.screens.outputs.pictures import PICTURES, picture
from tui.screens.outputs.trees import PREVIEWED, JsonTree
from tui.widgets.base_screen import BoxScreen
from tui.widgets.pane import Pane
from tui.widgets.text import one_line, plain, safe, size

LARGEST = 2 << 20
ROWS, COLUMNS, LINES = 300, 50, 5_000
CHARACTERS, CELL = 200_000, 300
"""Limits in characters: of a whole preview, and of one cell of a table."""


def preview(name: str, content: bytes, *, dark: bool = True) -> RenderableType:
    """Return the beginning of ``content``, rendered by its file name. Bytes, pixels, lines, rows, columns and
    depth are bounded before anything is decoded: resting the cursor on a file is enough to open it.
    """
    if len(content) > LARGEST:
        return plain(f"larger than {size(LARGEST)}: s saves it")
    if name.lower().endswith(PICTURES):
        return picture(content)
    if b"\0" in content[:4096]:
        return plain(f"binary, {size(len(content))}: s saves it")
    text = content.decode(errors="replace")
    if name.endswith(".json"):
        return _json(text, dark)
    if name.endswith((".csv", ".tsv")):
        return _table(text, "\t" if name.endswith(".tsv") else ",")
    return _cut(text)


def _cut(text: str) -> RenderableType:
    shown = text[:CHARACTERS]
    if shown.count("\n") > LINES:
        shown = "".join(shown.splitlines(keepends=True)[:LINES])
    rest = len(text) - len(shown)
    return plain(shown + (f"\n… and {rest} characters more" if rest > 0 else ""))


def _json(text: str, dark: bool) -> RenderableType:
    try:
        drawn = json.dumps(parse_json(text, PREVIEWED), indent=2, ensure_ascii=False)
    except JsonRefused:
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
    width = min(len(rows[0]), COLUMNS)
    for title in rows[0][:width]:
        table.add_column(plain(one_line(title[:CELL])), no_wrap=True)
    for row in rows[1 : ROWS + 1]:
        table.add_row(*(plain(one_line(cell[:CELL])) for cell in row[:width]))
    left = {"rows": len(rows) - 1 - ROWS, "columns": len(rows[0]) - width}
    notes = [plain(f"… and {count} {what} more") for what, count in left.items() if count > 0]
    return Group(table, *notes) if notes else table


class PreviewPane(Pane):
    """One result's content; fetched once, as results do not change. JSON is a tree."""

    def __init__(self, title: str, id: str | None = None) -> None:
        super().__init__(title, id=id)
        self._file = ""

    def body(self) -> ComposeResult:
        with VerticalScroll(can_focus=True):
            yield Static(id="preview-body", markup=False)
        yield JsonTree(id="preview-tree")

    def on_mount(self) -> None:
        self.query_one(JsonTree).display = False

    def look_at(self, name: str, count: int | None, fetch: Callable[[], bytes]) -> None:
        """Switch to the file ``name`` of ``count`` bytes."""
        self.pause()
        self._file = name
        self.border_title = one_line(name if count is None else f"{name} · {size(count)}")
        if count is not None and count > LARGEST:
            self.feeds = ()
            self._draw(f"larger than {size(LARGEST)}: s saves it")
            return
        self._draw("…")
        self.feeds = (self.box_app.feeds.one("result", fetch, 3600.0),)
        self.resume()

    def tell(self, title: str, said: RenderableType) -> None:
        """Show ``said`` instead of a file; nothing is fetched."""
        self.pause()
        self.feeds, self.border_title = (), title
        self.footnote("")
        self._draw(said)

    @property
    def reader(self) -> Widget:
        """The widget that scrolls: the JSON tree or the text."""
        tree = self.query_one(JsonTree)
        return tree if tree.display else self.query_one(VerticalScroll)

    def show(self, value: bytes) -> None:
        tree = self.query_one(JsonTree)
        if self._file.endswith(".json") and tree.grow(self._file, value):
            focused = self.query_one(VerticalScroll).has_focus
            tree.display, self.query_one(VerticalScroll).display = True, False
            if focused:
                tree.focus()
            return
        self._draw(preview(self._file, value, dark=self.box_app.current_theme.dark))

    def _draw(self, drawn: RenderableType) -> None:
        tree = self.query_one(JsonTree)
        tree.display, self.query_one(VerticalScroll).display = False, True
        self.query_one("#preview-body", Static).update(drawn)


class PreviewScreen(BoxScreen):
    """Shows one result on the whole screen."""

    NAME = "outputs"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "save", "Save", id="preview.save"),
        Binding("j", "scroll(1)", show=False, id="preview.down"),
        Binding("k", "scroll(-1)", show=False, id="preview.up"),
        Binding("c", "as_command", "As command", id="preview.command"),
    ]

    def __init__(self, job_id: str, index: int, entry: dict[str, Any]) -> None:
        super().__init__()
        self.job_id, self.index, self.entry = job_id, index, entry

    def body(self) -> ComposeResult:
        yield PreviewPane("Result")

    def on_mount(self) -> None:
        pane, app = self.query_one(PreviewPane), self.box_app
        source, who = app.source, app.consumer
        pane.look_at(
            str(self.entry["filename"]),
            int(self.entry.get("filesize") or 0),
            lambda: source.read_result(who, self.job_id, self.index),
        )
        pane.reader.focus()

    def copied(self) -> str:
        return self.box_app.command(self._words)

    @property
    def _words(self) -> str:
        return f"results {self.job_id} {self.index} --to ."

    def action_scroll(self, lines: int) -> None:
        reader = self.query_one(PreviewPane).reader
        if isinstance(reader, JsonTree):
            reader.move(lines)
        else:
            reader.scroll_relative(y=lines, animate=False)

    def action_save(self) -> None:
        self.box_app.perform(saving(self.box_app, self.job_id, self.index))

    def action_as_command(self) -> None:
        self.box_app.copy_command(self._words)


class CidScreen(BoxScreen):
    """Shows content by its CID, from the box's IPFS node."""

    NAME = "outputs"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("c", "as_command", "As command", id="cid.command")]

    def __init__(self, cid: str) -> None:
        super().__init__()
        self.cid = cid

    def body(self) -> ComposeResult:
        yield PreviewPane("IPFS")

    def on_mount(self) -> None:
        source, pane = self.box_app.source, self.query_one(PreviewPane)
        pane.look_at(self.cid, None, lambda: source.open_cid(self.cid))
        pane.reader.focus()

    def copied(self) -> str:
        return self.cid

    def action_as_command(self) -> None:
        self.box_app.copy_command(f"cid {self.cid}")
