"""The permission matrix, and the reason of the cell under the cursor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.message import Message
from textual.widgets import DataTable, Static

from tui.live.feed import Feed
from tui.screens.assets.view import asset_names
from tui.widgets.live_table import LiveTable, TableRow
from tui.widgets.pane import Pane
from tui.widgets.text import plain_text, short_id

if TYPE_CHECKING:
    from sandbox.verbs.publishing.permissions import PermissionCell

# Characters of an algorithm's name in a column's title: more algorithms fit on the screen.
WIDTH = 18


class MatrixPane(Pane):
    """The matrix of datasets × algorithms. The table is rebuilt only when an algorithm is added, removed or
    renamed.
    """

    class Pointed(Message):
        """The cursor is on this cell; also sent when the matrix changes below the cursor."""

        def __init__(self, cell: PermissionCell | None, names: dict[str, str]) -> None:
            super().__init__()
            self.cell, self.names = cell, names

    class Chosen(Message):
        """Enter was pressed on the cell."""

    def __init__(self, title: str, *feeds: Feed[Any], id: str) -> None:
        super().__init__(title, *feeds, id=id)
        self.cells: dict[tuple[str, str], PermissionCell] = {}
        self.names: dict[str, str] = {}
        self._algorithms: tuple[str, ...] = ()
        self._titles: tuple[str, ...] = ()

    def compose_body(self) -> ComposeResult:
        """Compose the hint only: the table needs the algorithms' names for its columns and is mounted by
        :meth:`take_feed`.
        """
        yield Static("", id="empty", markup=False)

    @property
    def pointed_cell(self) -> PermissionCell | None:
        """The cell under the cursor; in the first column (the names), the cell of the first algorithm."""
        table = next(iter(self.query(LiveTable)), None)
        if table is None or table.selected_row is None or not self._algorithms:
            return None
        # Column 0 holds the datasets' names.
        column = max(table.cursor_coordinate.column - 1, 0)
        return self.cells.get((table.selected_row.key, self._algorithms[column]))

    async def take_feed(self, feed: Feed[Any]) -> None:
        """Draw the matrix from both feeds, whichever answers first."""
        # Names are missing until the assets' feed has answered; DIDs stand in.
        permissions, assets = (feed.reading.value for feed in self.feeds)
        if permissions is None:
            return
        self.names = asset_names(assets)
        self.cells = {(cell.dataset, cell.algorithm): cell for cell in permissions}
        algorithms = tuple(dict.fromkeys(cell.algorithm for cell in permissions))
        publishing = f"Publish a dataset and an algorithm first ({self.box_app.key_of('assets')})."
        empty = "" if permissions else publishing
        self.query_one("#empty", Static).update(empty)
        self.query_one("#empty").display = not permissions
        await self._set_columns(algorithms)
        self.query_one(LiveTable).show_rows(self._matrix_rows(permissions))
        allowed = sum(cell.allowed for cell in permissions)
        self.border_title = f"Permissions: {allowed} of {len(permissions)} pairs allowed"
        self._post_pointed()

    async def _set_columns(self, algorithms: tuple[str, ...]) -> None:
        """Rebuild the table if its titles differ: the algorithms' names may arrive later than the cells.
        A table's columns are fixed when it is made.
        """
        titles: dict[str, None] = {"dataset": None}
        for did in algorithms:
            title = f"ƒ {self.names.get(did, short_id(did))[:WIDTH]}"
            # Column titles are keys and must differ; two algorithms may have the same name.
            titles[title if title not in titles else f"{title} {short_id(did, 4)}"] = None
        self._algorithms = algorithms
        if tuple(titles) == self._titles:
            return
        self._titles = tuple(titles)
        await self.query(LiveTable).remove()
        await self.mount(LiveTable(*titles, cursor="cell"))
        self.focus_first(self.query_one(LiveTable))

    def _matrix_rows(self, permissions: list[PermissionCell]) -> list[TableRow]:
        """Return a row per dataset; a pair that the verdicts do not mention is shown as unknown."""
        rows = []
        for dataset in dict.fromkeys(cell.dataset for cell in permissions):
            cells = [self.cells.get((dataset, algorithm)) for algorithm in self._algorithms]
            words = ["?" if cell is None else "✓ allowed" if cell.allowed else "✗ denied" for cell in cells]
            rows.append(TableRow(dataset, (f"▤ {self.names.get(dataset, short_id(dataset))}", *words)))
        return rows

    def on_data_table_cell_highlighted(self, _event: DataTable.CellHighlighted) -> None:
        """Tell the screen which cell the cursor is on."""
        self._post_pointed()

    def on_data_table_cell_selected(self, _event: DataTable.CellSelected) -> None:
        """Tell the screen that enter was pressed, or the cell clicked."""
        self.post_message(self.Chosen())

    def _post_pointed(self) -> None:
        self.post_message(self.Pointed(self.pointed_cell, self.names))


class ReasonPane(Pane):
    """The reason tree of one cell."""

    def compose_body(self) -> ComposeResult:
        """Compose a text that scrolls: a denied pair may have a reason from every rule."""
        with VerticalScroll():
            yield Static(id="reason", markup=False)

    def explain_cell(self, cell: PermissionCell | None, names: dict[str, str]) -> None:
        """Show the verdict and the reasons of this cell. The reasons arrive as lines that begin with ``yes``
        or ``no``, indented by depth; the words become marks.
        """
        if cell is None:
            self.query_one("#reason", Static).update("")
            return
        drawn = Text()
        verdict = "✓ allowed" if cell.allowed else f"✗ denied: {cell.code}"
        drawn.append_text(
            plain_text(f"{names.get(cell.algorithm, '?')} on {names.get(cell.dataset, '?')}\n", "bold")
        )
        drawn.append_text(plain_text(f"{verdict}\n"))
        for line in cell.reasons:
            mark = "✓" if line.lstrip().startswith("yes") else "✗"
            body = line.lstrip().removeprefix("yes").removeprefix("no").strip()
            drawn.append_text(plain_text(f"{line[: len(line) - len(line.lstrip())]}{mark} {body}\n"))
        drawn.append(f"\n{cell.dataset}\n{cell.algorithm}", "dim")
        self.query_one("#reason", Static).update(drawn)
