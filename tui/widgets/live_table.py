"""Tables that are updated in place, never refilled: the cursor, the scroll position and the filter stay where
the reader left them while rows come, change and go.

Columns grow with their content and never shrink: a cell that became shorter would make Textual measure its
whole column again, and a thousand of them with each tick of a clock stop the screen.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.binding import Binding, BindingType
from textual.coordinate import Coordinate
from textual.widgets import DataTable
from textual.widgets.data_table import ColumnKey, RowKey

from tui.runtime.app_port import port_of
from tui.widgets.text import one_line

# Removals from which clearing and filling the table is cheaper.
MANY = 50
# A number at the start of a cell with its unit, as :mod:`tui.widgets.text` writes durations and sizes.
_NUMBER = re.compile(r"([0-9][0-9,]*\.?[0-9]*)(?: (s|m|h|B|kB|MB|GB)\b.*)?$")
_UNITS = {"m": 60.0, "h": 3600.0, "kB": 1e3, "MB": 1e6, "GB": 1e9}


@dataclass(frozen=True, slots=True)
class TableRow:
    """One row. ``key`` identifies it while its cells change, and is what ``Y`` copies."""

    key: str
    cells: tuple[str, ...]
    tone: str = ""
    """Colour of the first cell: good, warn, bad, quiet. Never the only sign: marks and words say the same."""
    search: str = ""
    """Text that the filter searches although it is not shown."""

    @property
    def search_text(self) -> str:
        """The text that the filter searches, in lower case: key, cells and what has no column."""
        return f"{self.key} {' '.join(self.cells)} {self.search}".lower()


def _sort_rank(cell: str) -> tuple[int, float, str]:
    """Return a cell's sort key: numbers by size (with units of time and bytes), before all other text by its
    letters.
    """
    # The characters are marks that rows begin with; they say nothing about the order.
    found = _NUMBER.match(cell.lstrip("▶✓✗●◐○!▤ƒ+- "))
    if found is None:
        return 1, 0.0, cell.lower()
    return 0, float(found[1].replace(",", "")) * _UNITS.get(found[2], 1.0), cell.lower()


class LiveTable(DataTable[Text]):
    """A table of :class:`TableRow`; :meth:`show_rows` applies only the differences. Rows are found by their
    key, which has to be unique in the table; with ``cursor="cell"`` single cells are selected."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "cursor_down", "Down", show=False, id="table.down"),
        Binding("k", "cursor_up", "Up", show=False, id="table.up"),
        Binding("h", "aside(-1)", "Left", show=False, id="table.left"),
        Binding("l", "aside(1)", "Right", show=False, id="table.right"),
        Binding("g", "scroll_top", "Top", show=False, id="table.top"),
        Binding("G,shift+g", "scroll_bottom", "Bottom", show=False, id="table.bottom", key_display="G"),
        Binding("w", "column", "Next column", show=False, id="table.column"),
        Binding("less_than_sign", "widen(-4)", "Narrower", show=False, id="table.narrow", key_display="<"),
        Binding("greater_than_sign", "widen(4)", "Wider", show=False, id="table.widen", key_display=">"),
        Binding("S,shift+s", "order", "Sort", show=False, id="table.sort", key_display="S"),
    ]

    def __init__(self, *columns: str, id: str | None = None, cursor: str = "row") -> None:
        super().__init__(id=id, cursor_type=cursor, zebra_stripes=False)  # type: ignore[arg-type]
        self._titles = columns
        # All rows, and those that pass the filter, by key and in order.
        self._all: dict[str, TableRow] = {}
        self._shown: dict[str, TableRow] = {}
        self.words = ""
        self._chosen = 0
        self._sorted: tuple[int, bool] | None = None
        for title in columns:
            # rich ends a text with a line feed unless told otherwise, which would be drawn as part of the
            # cell.
            self.add_column(Text(title, end=""), key=title)

    def on_mount(self) -> None:
        """Restore the columns' widths, and repaint with every new theme: cells hold colours, not
        variables.
        """
        self.app.theme_changed_signal.subscribe(self, lambda _theme: self._repaint_rows())
        for title, width in self._saved_widths.items():
            if title in self._titles:
                self._set_width(title, width)

    @property
    def _saved_widths(self) -> dict[str, int]:
        """Column widths that the user chose for this table, by title."""
        return {} if self.id is None else port_of(self).memory.widths.setdefault(self.id, {})

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Let h and l move between cells; where whole rows are selected, leave these keys to the screen."""
        return self.cursor_type == "cell" if action == "aside" else True

    def action_aside(self, step: int) -> None:
        """Move to the next cell, or to the previous one where ``step`` is negative."""
        if step > 0:
            self.action_cursor_right()
        else:
            self.action_cursor_left()

    def action_column(self) -> None:
        """Select the next column for the keys < > and S."""
        self._chosen = (self._chosen + 1) % len(self._titles)
        self._mark_headers()

    def action_widen(self, by: int) -> None:
        """Change the width of the chosen column, for this and later runs; four cells are the least."""
        title = self._titles[self._chosen]
        column = self.columns[ColumnKey(title)]
        width = max(4, (column.content_width if column.auto_width else column.width) + by)
        self._saved_widths[title] = width
        self._set_width(title, width)
        self._mark_headers()

    def action_order(self) -> None:
        """Sort by the chosen column: ascending, then descending, then unsorted."""
        down = self._sorted[1] if self._sorted and self._sorted[0] == self._chosen else None
        self._sorted = None if down else (self._chosen, down is not None)
        self._mark_headers()
        self._apply_rows()

    def _set_width(self, title: str, width: int) -> None:
        """Set a column's width; from then on its content no longer decides it."""
        column = self.columns[ColumnKey(title)]
        column.auto_width, column.width = False, width
        # Private attributes of Textual's table: it offers no public way to change a width later.
        self._require_update_dimensions = True
        self._clear_caches()
        self.refresh(layout=True)

    def _mark_headers(self) -> None:
        """Mark the header: the chosen column underlined, the sorted one with its direction."""
        for place, title in enumerate(self._titles):
            text = Text(title, style="underline" if place == self._chosen else "", end="")
            if self._sorted is not None and self._sorted[0] == place:
                text.append(" ▾" if self._sorted[1] else " ▴")
            self.columns[ColumnKey(title)].label = text
        self._clear_caches()
        self.refresh()

    @property
    def selected_row(self) -> TableRow | None:
        """The row under the cursor."""
        if not self._shown or not self.is_valid_coordinate(self.cursor_coordinate):
            return None
        key = self.coordinate_to_cell_key(self.cursor_coordinate).row_key.value
        return self._shown.get(str(key))

    @property
    def shown_counts(self) -> tuple[int, int]:
        """The number of rows shown, and of all rows."""
        return len(self._shown), len(self._all)

    def show_rows(self, rows: Iterable[TableRow]) -> None:
        """Make these the table's rows, in this order."""
        self._all = {row.key: row for row in rows}
        self._apply_rows()

    def renew_row(self, row: TableRow) -> None:
        """Replace the content of one row, without moving it."""
        before = self._all.get(row.key)
        if before is None or before == row:
            return
        self._all[row.key] = row
        if row.key in self._shown:
            self._change_row(before, row)
            self._shown[row.key] = row
            self._forget_drawn()
            self.refresh_row(self.get_row_index(row.key))

    @property
    def in_view(self) -> list[str]:
        """The keys of the rows that are on the screen now."""
        top = round(self.scroll_y)
        return [
            str(self.coordinate_to_cell_key(Coordinate(place, 0)).row_key.value)
            for place in range(top, min(top + self.size.height, self.row_count))
        ]

    def point_at(self, key: str) -> None:
        """Put the cursor on a row, if it is shown."""
        if key in self._shown:
            self.move_cursor(row=self.get_row_index(key), animate=False)

    def filter_rows(self, words: str) -> None:
        """Show only rows that have every one of ``words`` somewhere."""
        self.words = words
        self._apply_rows()

    def _apply_rows(self) -> None:
        """Bring the table to the rows that pass the filter, in the wanted order. Removals come first, then
        additions and changes, then the order; the cursor returns to its row at the end.
        """
        words = self.words.lower().split()
        wanted = {
            key: row
            for key, row in self._all.items()
            if not words or all(word in row.search_text for word in words)
        }
        if self._sorted is not None:
            place, down = self._sorted
            ranked = sorted(wanted.items(), key=lambda item: _sort_rank(item[1].cells[place]), reverse=down)
            wanted = dict(ranked)
        # The row under the cursor, to find it again after rows have come and gone.
        stood, changed = self.selected_row, False
        self._take_out([key for key in self._shown if key not in wanted])
        for key, row in wanted.items():
            before = self._shown.get(key)
            if before is None:
                texts = self._cell_texts(row)
                self.add_row(*texts, key=key)
                self._fit_columns(texts)
            elif before is not row and before != row:
                # Identity first: most rows are the very same object as before.
                self._change_row(before, row)
                changed = True
        self._new_rows.clear()  # ``_fit_columns`` has measured them; Textual would measure them again
        if changed:
            self._forget_drawn()
            self.refresh()
        kept = [key for key in self._shown if key in wanted]
        added = [key for key in wanted if key not in self._shown]
        # Set before the rows are ordered and the cursor moves: both look up rows by key.
        self._shown = wanted
        # Rows that stay keep their place and new ones are appended; sorting is needed only if that is not the
        # order.
        if [*kept, *added] != list(wanted):
            self._order_rows(list(wanted))
        if stood is not None and stood.key in wanted and self.selected_row != wanted[stood.key]:
            self.move_cursor(row=self.get_row_index(stood.key), animate=False)

    def _take_out(self, keys: list[str]) -> None:
        """Remove rows. Each removal costs time proportional to the table's length, so more than ``MANY`` at
        once (a filter) clear the table instead.
        """
        if len(keys) > MANY:
            self.clear()
            self._shown = {}
            return
        for key in keys:
            self.remove_row(key)

    def _forget_drawn(self) -> None:
        """Drop the cached drawing of the visible rows. Textual's ``update_cell`` would also renumber all
        rows.
        """
        for drawn in (self._cell_render_cache, self._row_render_cache, self._line_cache):
            drawn.clear()

    def _change_row(self, before: TableRow, row: TableRow) -> None:
        """Replace the cells of one row that differ, directly in the table's data."""
        texts, cells = self._cell_texts(row), self._data[RowKey(row.key)]
        for title, old, new, text in zip(self._titles, before.cells, row.cells, texts, strict=True):
            if old != new or (title == self._titles[0] and before.tone != row.tone):
                cells[ColumnKey(title)] = text
        self._fit_columns(texts)

    def _fit_columns(self, texts: Sequence[Text]) -> None:
        """Widen columns to fit these cells."""
        for column, text in zip(self.ordered_columns, texts, strict=True):
            width = cell_len(text.plain)
            if width > column.content_width:
                column.content_width = width
                self._require_update_dimensions = True

    def _order_rows(self, keys: Sequence[str]) -> None:
        """Put rows into the wanted order."""
        rank = {key: place for place, key in enumerate(keys)}
        first = self._titles[0]
        # Textual sorts by cells and does not tell the row; every cell is an object of its own, so its
        # identity does.
        places = {id(self.get_cell(key, first)): place for key, place in rank.items()}
        self.sort(first, key=lambda cell: places[id(cell)])

    def _cell_texts(self, row: TableRow) -> list[Text]:
        """Return a row's cells as single lines without control sequences; the tone colours the first."""
        texts = [Text(one_line(cell), no_wrap=True, end="") for cell in row.cells]
        texts[0].stylize(self._tone_style(row.tone))
        return texts

    def _render_cell(
        self,
        row_index: int,
        column_index: int,
        base_style: Style,
        width: int,
        cursor: bool = False,
        hover: bool = False,
    ) -> list[list[Segment]]:
        """Draw a cell as one line of plain text. Textual's own method allows any renderable and takes ten
        times as long, which a key press would have to wait for.
        """
        head, column = row_index < 0, self.ordered_columns[column_index]
        text = column.label if head else self.get_cell_at(Coordinate(row_index, column_index))
        chosen, last = self._get_styles_to_render_cell(
            head,
            False,
            False,
            hover,
            cursor,
            self.show_cursor,
            self._show_hover_cursor,
            self.cursor_foreground_priority == "css",
            self.cursor_background_priority == "css",
        )
        # The meta data tell Textual which cell a mouse click hit.
        style = base_style + Style.from_meta({"row": row_index, "column": column_index}) + chosen
        gap = Segment(" " * self.cell_padding, style + last)
        said = list(Segment.apply_style(text.render(self.app.console), style, last))
        return [[gap, *Segment.adjust_line_length(said, width - 2 * self.cell_padding, style + last), gap]]

    def _tone_style(self, tone: str) -> str:
        """Return the colour of a tone in the current theme; none for a tone that is not known."""
        theme = self.app.current_theme
        colours = {"good": theme.success, "warn": theme.warning, "bad": theme.error, "quiet": "dim"}
        return colours.get(tone) or ""

    def _repaint_rows(self) -> None:
        """Draw the first cell of each row again, in the colours of a new theme."""
        for row in self._shown.values():
            self.update_cell(row.key, self._titles[0], self._cell_texts(row)[0])
