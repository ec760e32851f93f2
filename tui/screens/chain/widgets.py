"""Panes of the chain: transactions, blocks, and the decoded view of one of them.

Decoding is the sandbox's (:mod:`sandbox.verbs.inspection.chain`), by the ABIs of Ocean's contracts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.message import Message
from textual.widgets import Static

from tui.live.feed import Feed
from tui.widgets.live_table import LiveTable, TableRow
from tui.widgets.pane import Pane
from tui.widgets.text import plain_text, safe_text, short_id, utc_text

if TYPE_CHECKING:
    from sandbox.verbs.inspection.chain import ChainBlock, DecodedTransaction

# Characters of one argument: publishing passes whole encrypted documents.
LONGEST = 100


class TransactionsPane(Pane):
    """The newest transactions; ``known`` maps hash to transaction."""

    class Came(Message):
        """The list of transactions was updated."""

    def __init__(self, title: str, feed: Feed[list[DecodedTransaction]], id: str) -> None:
        super().__init__(title, feed, id=id)
        self.known: dict[str, DecodedTransaction] = {}

    def compose_body(self) -> ComposeResult:
        yield LiveTable("function", "from", "to", "events", "block", "time", id="transactions-table")
        yield Static("", classes="empty", markup=False)

    def show_value(self, value: list[DecodedTransaction]) -> None:
        """Draw the list, then tell the screen: the decoded pane has no feed of its own."""
        self.known = {tx.hash: tx for tx in value}
        self.query_one(LiveTable).show_rows(map(_transaction_row, value))
        self.border_title = f"Transactions: the newest {len(value)}" if value else "Transactions"
        self.query_one(".empty", Static).update("" if value else "Nothing was signed yet.")
        self.post_message(self.Came())


def _transaction_row(tx: DecodedTransaction) -> TableRow:
    """Return a transaction's row. A reverted one is marked, as it costs gas all the same."""
    # Each name once: a transfer may emit the same event many times.
    events = ", ".join(dict.fromkeys(event.name for event in tx.events))
    mark = "✓" if tx.succeeded else "✗"
    cells = (
        f"{mark} {tx.function}",
        _party_name(tx.sender),
        _party_name(tx.to),
        events,
        str(tx.block),
        utc_text(tx.at)[6:],
    )
    # The filter finds a transaction by any address or value of its events.
    said = " ".join(f"{event.name} {' '.join(event.arguments.values())}" for event in tx.events)
    return TableRow(tx.hash, cells, "" if tx.succeeded else "bad", f"{tx.sender} {tx.to} {said}")


class BlocksPane(Pane):
    """The newest blocks; ``known`` maps hash to block."""

    def __init__(self, title: str, feed: Feed[list[ChainBlock]], id: str) -> None:
        super().__init__(title, feed, id=id)
        self.known: dict[str, ChainBlock] = {}

    def compose_body(self) -> ComposeResult:
        yield LiveTable("block", "time", "transactions", "gas", "hash", id="blocks-table")

    def show_value(self, value: list[ChainBlock]) -> None:
        """Draw the blocks. Their transactions' hashes are searched too, so the filter finds the block of a
        transaction.
        """
        self.known = {block.hash: block for block in value}
        self.query_one(LiveTable).show_rows(
            TableRow(
                block.hash,
                (
                    str(block.number),
                    utc_text(block.at),
                    str(len(block.transactions)),
                    f"{block.gas:,}",
                    short_id(block.hash, 18),
                ),
                search=" ".join(block.transactions),
            )
            for block in value
        )
        self.border_title = f"Blocks: head {value[0].number}" if value else "Blocks"


class DecodedPane(Pane):
    """Decoded transactions: functions with their arguments, and the events that the contracts emitted."""

    def compose_body(self) -> ComposeResult:
        with VerticalScroll(can_focus=True):
            yield Static(id="said", markup=False)

    def show_transactions(
        self, transactions: list[DecodedTransaction], block: ChainBlock | None = None
    ) -> None:
        """Show these transactions; ``block`` is the block that contains them, if blocks are listed."""
        drawn = Text()
        if block is not None:
            drawn.append(f"block {block.number}  {block.hash}\n", "bold")
            drawn.append(f"{utc_text(block.at)}  {block.gas:,} gas\n\n")
            # Transactions beyond the newest are not loaded: say so, and how to read one.
            if len(transactions) < len(block.transactions):
                drawn.append("older transactions: b shows the newest; c is the command for one\n")
        for tx in transactions:
            _draw_transaction(drawn, tx)
        self.query_one("#said", Static).update(drawn)


def _draw_transaction(drawn: Text, tx: DecodedTransaction) -> None:
    """Draw one transaction. Names and values are made safe: a foreign contract's come from strangers."""
    result = "" if tx.succeeded else "  ✗ reverted"
    drawn.append(f"{safe_text(tx.function)}{result}\n", "bold")
    drawn.append(f"{safe_text(tx.sender)} → {safe_text(tx.to)}   {tx.gas:,} gas   {tx.hash}\n", "dim")
    # First what was asked for, then what the contracts say has happened.
    _draw_arguments(drawn, tx.arguments)
    for event in tx.events:
        drawn.append(f"⚡ {safe_text(event.name)}", "bold").append(f"  {safe_text(event.contract)}\n", "dim")
        _draw_arguments(drawn, event.arguments)
    drawn.append("\n")


def _draw_arguments(drawn: Text, arguments: Mapping[str, str]) -> None:
    """Draw names and values in two columns; values come from whoever signed, so they are made safe."""
    width = max((len(name) for name in arguments), default=0)
    for name, value in arguments.items():
        text = value if len(value) <= LONGEST else f"{value[:LONGEST]}… ({len(value)} characters)"
        drawn.append_text(plain_text(f"    {name:<{width}}  ", "dim")).append(f"{safe_text(text)}\n")


def _party_name(name: str) -> str:
    """Return a role or contract name as it is, an address shortened."""
    return short_id(name, 8) if name.startswith("0x") else name
