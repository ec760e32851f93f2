"""The chain screen: transactions or blocks, decoded, with the events of the one under the cursor."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widgets import DataTable

from tui.screens.chain.widgets import BlocksPane, DecodedPane, TransactionsPane
from tui.widgets.base_screen import BoxScreen
from tui.widgets.live_table import LiveTable


class ChainScreen(BoxScreen):
    """The chain screen. Both tables stay mounted and one is displayed, so that each keeps its cursor and its
    filter.
    """

    NAME = "chain"
    CSS = """
    #transactions, #blocks, #decoded { height: 1fr; }
    ChainScreen.-wide #decoded { height: 2fr; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("b", "blocks", "Blocks / transactions", id="chain.blocks"),
        Binding("enter,d", "read", "Read on", show=False, id="chain.read"),
        Binding("c", "as_command", "As command", id="chain.command"),
    ]

    def compose_body(self) -> ComposeResult:
        feeds = self.box_app.feeds
        yield TransactionsPane("Transactions", feeds.transactions, id="transactions")
        yield BlocksPane("Blocks", feeds.blocks, id="blocks")
        yield DecodedPane("Decoded", id="decoded")

    def on_mount(self) -> None:
        """Begin with the transactions. The table is named because the hidden one could have the focus as
        well.
        """
        self.query_one("#blocks").display = False
        self.query_one("#transactions").query_one(LiveTable).focus()

    def on_data_table_row_highlighted(self, event: DataTable.RowHighlighted) -> None:
        """Decode the row under the cursor; the cursor of the table that is not displayed moves as well."""
        if event.data_table is self.active_table:
            self._show_pointed()

    def on_transactions_pane_came(self) -> None:
        """Decode again when the list has changed: the cursor's row may be another, without a key press."""
        self._show_pointed()

    def on_data_table_row_selected(self, _event: DataTable.RowSelected) -> None:
        """Go on to the decoded text with enter."""
        self.action_read()

    @property
    def has_blocks(self) -> bool:
        """True while blocks are listed, False for transactions."""
        return bool(self.query_one("#blocks").display)

    @property
    def active_table(self) -> LiveTable | None:
        """Return the table that is displayed: the base would take the first, which may be hidden."""
        return self.query_one("#blocks" if self.has_blocks else "#transactions").query_one(LiveTable)

    def _show_pointed(self) -> None:
        """Show the transaction under the cursor, or all known transactions of the block under it."""
        table = self.active_table
        row = table.selected_row if table is not None else None
        if row is None:
            return
        pane = self.query_one(DecodedPane)
        known = self.query_one(TransactionsPane).known
        if self.has_blocks:
            block = self.query_one(BlocksPane).known.get(row.key)
            # Only the newest transactions are loaded; a block's older ones are counted, not shown.
            pane.show_transactions(
                [known[tx] for tx in block.transactions if tx in known] if block else [], block
            )
        elif row.key in known:
            pane.show_transactions([known[row.key]])

    def find_words(self, words: str) -> None:
        """Filter both tables, as b switches between them."""
        super().find_words(words)
        self.query_one("#blocks").query_one(LiveTable).filter_rows(words)

    def action_blocks(self) -> None:
        """Switch between transactions and blocks; exactly one of the tables is displayed."""
        blocks, transactions = self.query_one("#blocks"), self.query_one("#transactions")
        blocks.display, transactions.display = transactions.display, blocks.display
        (blocks if self.has_blocks else transactions).query_one(LiveTable).focus()
        self._show_pointed()

    def action_read(self) -> None:
        """Give the focus to the decoded text, so that its length can be scrolled through."""
        self.query_one(DecodedPane).query_one(VerticalScroll).focus()

    def leave_filter(self) -> None:
        """Return to the displayed table."""
        if self.active_table is not None:
            self.active_table.focus()

    def action_as_command(self) -> None:
        """Copy the command that prints the list, or the one transaction under the cursor."""
        row = self.active_table.selected_row if self.active_table is not None else None
        if self.has_blocks:
            self.box_app.copy_command("chain --blocks")
        else:
            self.box_app.copy_command(f"chain {row.key}" if row else "chain")
