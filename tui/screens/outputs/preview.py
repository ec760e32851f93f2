"""Previews of results: text as text, CSV as a table, JSON indented, pictures as cells. The content is
untrusted: no escape sequence or markup in it takes effect.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping
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
from tui.screens.jobs.actions import save_action
from tui.screens.outputs.pictures import PICTURES, draw_picture
from tui.screens.outputs.trees import PREVIEWED, JsonTree
from tui.widgets.base_screen import BoxScreen
from tui.widgets.pane import Pane
from tui.widgets.text import one_line, plain_text, safe_text, size_text

# Bytes of a file that is fetched for a preview at all.
LARGEST = 2 << 20
# Of a table's and of a text's beginning; a terminal shows less than that anyway.
ROWS, COLUMNS, LINES = 300, 50, 5_000
CHARACTERS, CELL = 200_000, 300
"""Limits in characters: of a whole preview, and of one cell of a table."""


def draw_preview(name: str, content: bytes, *, dark: bool = True) -> RenderableType:
    """Return the beginning of ``content``, rendered by its file name. Bytes, pixels, lines, rows, columns and
    depth are bounded before anything is decoded: resting the cursor on a file is enough to open it.
    """
    if len(content) > LARGEST:
        return plain_text(f"larger than {size_text(LARGEST)}: s saves it")
    if name.lower().endswith(PICTURES):
        return draw_picture(content)
    # A NUL byte near the beginning: the test by which git tells binary files.
    if b"\0" in content[:4096]:
        return plain_text(f"binary, {size_text(len(content))}: s saves it")
    text = content.decode(errors="replace")
    if name.endswith(".json"):
        return _draw_json(text, dark)
    if name.endswith((".csv", ".tsv")):
        return _draw_table(text, "\t" if name.endswith(".tsv") else ",")
    return _cut_text(text)


def _cut_text(text: str) -> RenderableType:
    """Return the beginning of a text, with a note of how much is left out."""
    shown = text[:CHARACTERS]
    if shown.count("\n") > LINES:
        shown = "".join(shown.splitlines(keepends=True)[:LINES])
    rest = len(text) - len(shown)
    return plain_text(shown + (f"\n… and {rest} characters more" if rest > 0 else ""))


def _draw_json(text: str, dark: bool) -> RenderableType:
    """Return the document indented and coloured; text that strict parsing refuses is shown as it is."""
    try:
        drawn = json.dumps(parse_json(text, PREVIEWED), indent=2, ensure_ascii=False)
    except JsonRefused:
        return _cut_text(text)
    theme = "ansi_dark" if dark else "ansi_light"
    return Syntax(
        safe_text(drawn[:CHARACTERS]), "json", theme=theme, background_color="default", word_wrap=True
    )


def _draw_table(text: str, delimiter: str) -> RenderableType:
    """Return the first rows and columns as a table; the first row's width is that of all rows."""
    try:
        rows = list(csv.reader(io.StringIO(text[:CHARACTERS]), delimiter=delimiter))
    except csv.Error:
        return _cut_text(text)
    if not rows:
        return plain_text("empty")
    table = Table(box=None, pad_edge=False, header_style="bold")
    width = min(len(rows[0]), COLUMNS)
    # Each cell is cut before it is cleaned: one cell may hold the whole file.
    for title in rows[0][:width]:
        table.add_column(plain_text(one_line(title[:CELL])), no_wrap=True)
    for row in rows[1 : ROWS + 1]:
        table.add_row(*(plain_text(one_line(cell[:CELL])) for cell in row[:width]))
    left = {"rows": len(rows) - 1 - ROWS, "columns": len(rows[0]) - width}
    notes = [plain_text(f"… and {count} {what} more") for what, count in left.items() if count > 0]
    return Group(table, *notes) if notes else table


class PreviewPane(Pane):
    """One result's content; fetched once, as results do not change. JSON is a tree."""

    def __init__(self, title: str, id: str | None = None) -> None:
        super().__init__(title, id=id)
        self._file = ""

    def compose_body(self) -> ComposeResult:
        """Compose both ways to show a content; exactly one of the two is displayed."""
        with VerticalScroll(can_focus=True):
            yield Static(id="preview-body", markup=False)
        yield JsonTree(id="preview-tree")

    def on_mount(self) -> None:
        """Begin with the text: there is no document for the tree yet."""
        self.query_one(JsonTree).display = False

    def look_at(self, name: str, count: int | None, fetch: Callable[[], bytes]) -> None:
        """Switch to the file ``name`` of ``count`` bytes."""
        self.pause_feeds()
        self._file = name
        self.border_title = one_line(name if count is None else f"{name} · {size_text(count)}")
        # The size is the Provider's word; :func:`draw_preview` checks the bytes again.
        if count is not None and count > LARGEST:
            self.feeds = ()
            self._draw_content(f"larger than {size_text(LARGEST)}: s saves it")
            return
        self._draw_content("…")
        # A feed gives the fetch its thread and shows its errors; an hour between questions means once.
        self.feeds = (self.box_app.feeds.make_feed("result", fetch, 3600.0),)
        self.resume_feeds()

    def show_text(self, title: str, said: RenderableType) -> None:
        """Show ``said`` instead of a file; nothing is fetched."""
        self.pause_feeds()
        self.feeds, self.border_title = (), title
        self.set_footnote("")
        self._draw_content(said)

    @property
    def scroll_widget(self) -> Widget:
        """The widget that scrolls: the JSON tree or the text."""
        tree = self.query_one(JsonTree)
        return tree if tree.display else self.query_one(VerticalScroll)

    def show_value(self, value: bytes) -> None:
        """Draw the content: JSON objects and lists as a tree, everything else as text, table or picture."""
        tree = self.query_one(JsonTree)
        if self._file.endswith(".json") and tree.show_document(self._file, value):
            # Hiding a focused widget would leave the keys without an owner.
            focused = self.query_one(VerticalScroll).has_focus
            tree.display, self.query_one(VerticalScroll).display = True, False
            if focused:
                tree.focus()
            return
        self._draw_content(draw_preview(self._file, value, dark=self.box_app.current_theme.dark))

    def _draw_content(self, drawn: RenderableType) -> None:
        """Show something that is no tree."""
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

    def __init__(self, job_id: str, index: int, entry: Mapping[str, Any]) -> None:
        super().__init__()
        self.job_id, self.index, self.entry = job_id, index, entry

    def compose_body(self) -> ComposeResult:
        yield PreviewPane("Result")

    def on_mount(self) -> None:
        """Fetch the result, through the Provider as its owner."""
        pane, app = self.query_one(PreviewPane), self.box_app
        source, who = app.source, app.consumer
        pane.look_at(
            str(self.entry["filename"]),
            int(self.entry.get("filesize") or 0),
            lambda: source.read_result(who, self.job_id, self.index),
        )
        pane.scroll_widget.focus()

    def copied_text(self) -> str:
        """Return the command that saves this result: its content may be binary."""
        return self.box_app.command_line(self._command_words)

    @property
    def _command_words(self) -> str:
        return f"results {self.job_id} {self.index} --to ."

    def action_scroll(self, lines: int) -> None:
        """Move in the text or in the tree, whichever is displayed, with the same keys."""
        reader = self.query_one(PreviewPane).scroll_widget
        if isinstance(reader, JsonTree):
            reader.step_cursor(lines)
        else:
            reader.scroll_relative(y=lines, animate=False)

    def action_save(self) -> None:
        """Save this result only, after a confirmation that names the folder."""
        self.box_app.perform_action(save_action(self.box_app, self.job_id, self.index))

    def action_as_command(self) -> None:
        self.box_app.copy_command(self._command_words)


class CidScreen(BoxScreen):
    """Shows content by its CID, from the box's IPFS node. The node has no peers: it knows what this box has
    stored.
    """

    NAME = "outputs"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("c", "as_command", "As command", id="cid.command")]

    def __init__(self, cid: str) -> None:
        super().__init__()
        self.cid = cid

    def compose_body(self) -> ComposeResult:
        yield PreviewPane("IPFS")

    def on_mount(self) -> None:
        """Fetch the content. Its size is not known before, so the backend bounds it."""
        source, pane = self.box_app.source, self.query_one(PreviewPane)
        pane.look_at(self.cid, None, lambda: source.open_cid(self.cid))
        pane.scroll_widget.focus()

    def copied_text(self) -> str:
        """Return the CID, by which any IPFS node finds the content."""
        return self.cid

    def action_as_command(self) -> None:
        self.box_app.copy_command(f"cid {self.cid}")
