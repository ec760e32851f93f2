"""Panes of the chain: transactions, blocks, and the decoded view of one of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.message import Message
from textual.widgets import Static

from tui.live.feed import Feed
from tui.widgets.live_table import LiveTable, Row
from tui.widgets.pane import Pane
from tui.widgets.text import moment, plain, safe, short

if TYPE_CHECKING:
    from sandbox.verbs.chain import Block, Transaction

LONGEST = 100


class TransactionsPane(Pane):
    """The newest transactions; ``known`` maps hash to transaction."""

    class Came(Message):
        """The list of transactions was updated."""

    def __init__(self, title: str, feed: Feed[list[Transaction]], id: str) -> None:
        super().__init__(title, feed, id=id)
        self.known: dict[str, Transaction] = {}

    def body(self) -> ComposeResult:
        yield LiveTable("function", "from", "to", "events", "block", "time", id="transactions-table")
        yield Static("", classes="empty", markup=False)

    def show(self, value: list[Transaction]) -> None:
        self.known = {tx.hash: tx for tx in value}
        self.query_one(LiveTable).show(map(_transaction, value))
        self.border_title = f"Transactions: the newest {len(value)}" if value else "Transactions"
        self.query_one(".empty", Static).update("" if value else "Nothing was signed yet.")
        self.post_message(self.Came())


def _transaction(tx: Transaction) -> Row:
    events = ", ".join(dict.fromkeys(event.name for event in tx.events))
    mark = "✓" if tx.succeeded else "✗"
    cells = (
        f"{mark} {tx.function}",
        _who(tx.sender),
        _who(tx.to),
        events,
        str(tx.block),
        moment(tx.at)[6:],
    )
    said = " ".join(f"{event.name} {' '.join(event.arguments.values())}" for event in tx.events)
    return Row(tx.hash, cells, "" if tx.succeeded else "bad", f"{tx.sender} {tx.to} {said}")


class BlocksPane(Pane):
    """The newest blocks; ``known`` maps hash to block."""

    def __init__(self, title: str, feed: Feed[list[Block]], id: str) -> None:
        super().__init__(title, feed, id=id)
        self.known: dict[str, Block] = {}

    def body(self) -> ComposeResult:
        yield LiveTable("block", "time", "transactions", "gas", "hash", id="blocks-table")

    def show(self, value: list[Block]) -> None:
        self.known = {block.hash: block for block in value}
        self.query_one(LiveTable).show(
            Row(
                block.hash,
                (
                    str(block.number),
                    moment(block.at),
                    str(len(block.transactions)),
                    f"{block.gas:,}",
                    short(block.hash, 18),
                ),
                search=" ".join(block.transactions),
            )
            for block in value
        )
        self.border_title = f"Blocks: head {value[0].number}" if value else "Blocks"


class DecodedPane(Pane):
    """Decoded transactions: functions with their arguments, and the events that the contracts emitted."""

    def body(self) -> ComposeResult:
        with VerticalScroll(can_focus=True):
            yield Static(id="said", markup=False)

    def tell(self, transactions: list[Transaction], block: Block | None = None) -> None:
        """Show these transactions; ``block`` is the block that contains them, if blocks are listed."""
        drawn = Text()
        if block is not None:
            drawn.append(f"block {block.number}  {block.hash}\n", "bold")
            drawn.append(f"{moment(block.at)}  {block.gas:,} gas\n\n")
            if len(transactions) < len(block.transactions):
                drawn.append("older transactions: b shows the newest; c is the command for one\n")
        for tx in transactions:
            _tell(drawn, tx)
        self.query_one("#said", Static).update(drawn)


def _tell(drawn: Text, tx: Transaction) -> None:
    result = "" if tx.succeeded else "  ✗ reverted"
    drawn.append(f"{safe(tx.function)}{result}\n", "bold")
    drawn.append(f"{safe(tx.sender)} → {safe(tx.to)}   {tx.gas:,} gas   {tx.hash}\n", "dim")
    _arguments(drawn, tx.arguments)
    for event in tx.events:
        drawn.append(f"⚡ {safe(event.name)}", "bold").append(f"  {safe(event.contract)}\n", "dim")
        _arguments(drawn, event.arguments)
    drawn.append("\n")


def _arguments(drawn: Text, arguments: Mapping[str, str]) -> None:
    width = max((len(name) for name in arguments), default=0)
    for name, value in arguments.items():
        text = value if len(value) <= LONGEST else f"{value[:LONGEST]}… ({len(value)} characters)"
        drawn.append_text(plain(f"    {name:<{width}}  ", "dim")).append(f"{safe(text)}\n")


def _who(name: str) -> str:
    return short(name, 8) if name.startswith("0x") else name
