"""The accounts screen: roles, balances, datatokens; enter acts as an account, f gives it test money."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.timer import Timer
from textual.widgets import DataTable, Static

from c2d_box.errors import UsageError
from tui.actions.action import UserAction
from tui.dialogs.form import FormDialog, FormField, Values
from tui.live.feed import Feed
from tui.widgets.base_screen import BoxScreen
from tui.widgets.live_table import LiveTable, TableRow
from tui.widgets.pane import Pane
from tui.widgets.text import short_id

if TYPE_CHECKING:
    from sandbox.verbs.accounts import BoxAccount
    from sandbox.verbs.faucet import DatatokenHolding


class AccountsPane(Pane):
    """The accounts of the box's mnemonic with their balances. ``known`` maps address to account; actions read
    it, because a row holds only texts.
    """

    def __init__(self, title: str, *feeds: Feed[list[BoxAccount]], id: str) -> None:
        super().__init__(title, *feeds, id=id)
        self.known: dict[str, BoxAccount] = {}

    def compose_body(self) -> ComposeResult:
        """Compose the table; its id is the key under which the user's column widths are remembered."""
        yield LiveTable("role", "index", "OCEAN", "ETH", "address", id="accounts-table")

    def on_mount(self) -> None:
        """Give the keys to the table, so that the cursor moves without a click."""
        self.focus_first(self.query_one(LiveTable))

    def show_value(self, value: list[BoxAccount]) -> None:
        """Draw the accounts; those that act now, in whatever role, are marked."""
        self.known = {account.address: account for account in value}
        acting = {self.box_app.publisher, self.box_app.consumer}
        rows = []
        for account in value:
            role = account.role or "-"
            # The acting account may be given as a role, an address or an index (``--as``).
            mark = "▶" if acting & {account.role, account.address, str(account.index)} else " "
            cells = (
                f"{mark} {role}",
                str(account.index),
                f"{account.ocean:.2f}",
                f"{account.eth:.2f}",
                account.address,
            )
            rows.append(TableRow(account.address, cells, "good" if mark == "▶" else ""))
        self.query_one(LiveTable).show_rows(rows)

    @property
    def pointed_account(self) -> BoxAccount | None:
        """The account under the cursor."""
        row = self.query_one(LiveTable).selected_row
        return self.known.get(row.key) if row else None


class DatatokensPane(Pane):
    """The datatokens of the account under the cursor. It has no feed until an account is pointed at, since
    its question is about one account.
    """

    def compose_body(self) -> ComposeResult:
        yield LiveTable("asset", "amount", "datatoken", id="datatokens-table")
        yield Static("", classes="empty", markup=False)

    def show_account(self, who: str, name: str) -> None:
        """Switch to the datatokens of this account. The old feed loses its only listener and ends with its
        last question.
        """
        self.pause_feeds()
        source = self.box_app.source
        self.border_title = f"Datatokens of {name}"
        # Ten seconds between two questions: holdings change with an order only.
        self.feeds = (self.box_app.feeds.make_feed("datatokens", lambda: source.list_datatokens(who), 10.0),)
        self.resume_feeds()

    def show_value(self, value: list[DatatokenHolding]) -> None:
        """Draw the holdings. The DID is in no column, but the filter finds the row by it."""
        self.query_one(LiveTable).show_rows(
            TableRow(
                held.datatoken, (held.name, f"{held.amount:g}", short_id(held.datatoken, 18)), search=held.did
            )
            for held in value
        )
        empty = "" if value else "None: an order hands its datatoken on at once."
        self.query_one(".empty", Static).update(empty)


class AccountsScreen(BoxScreen):
    """The accounts screen. Enter changes who acts, here and in every verb started afterwards."""

    NAME = "accounts"
    CSS = """
    #accounts { height: 2fr; }
    #datatokens { height: 1fr; min-height: 5; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "act", "Act as", id="accounts.act"),
        Binding("R,shift+r", "roles", "Usual roles", id="accounts.roles", key_display="R"),
        Binding("f", "faucet", "Faucet", id="accounts.faucet"),
        Binding("c", "as_command", "As command", id="accounts.command"),
    ]

    def __init__(self) -> None:
        super().__init__()
        # The timer of the next question, and the address whose datatokens are shown.
        self._soon: Timer | None = None
        self._shown = ""

    def compose_body(self) -> ComposeResult:
        yield AccountsPane("Accounts", self.box_app.feeds.accounts, id="accounts")
        yield DatatokensPane("Datatokens", id="datatokens")

    @property
    def is_waiting(self) -> bool:
        """True while a question about datatokens is scheduled for when the cursor rests."""
        return self._soon is not None

    def on_data_table_row_highlighted(self, event: DataTable.RowHighlighted) -> None:
        """Ask for datatokens only after the cursor has rested on the row for 0.15 s."""
        if event.data_table.id == "accounts-table":
            if self._soon is not None:
                self._soon.stop()
            self._soon = self.set_timer(0.15, self._show_pointed)

    def _show_pointed(self) -> None:
        self._soon = None
        account = self.query_one(AccountsPane).pointed_account
        # Balances change with every block and redraw the table; that is no reason to ask about datatokens
        # again.
        if account is not None and account.address != self._shown:
            self._shown = account.address
            # An account beyond the roles has only its index, by which the verbs take it too.
            name = account.role or f"account {account.index}"
            self.query_one(DatatokensPane).show_account(account.role or str(account.index), name)

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        """Act as the account; enter in the table of datatokens does nothing."""
        if event.data_table.id == "accounts-table":
            self.action_act()

    def action_act(self) -> None:
        """Act as the account under the cursor. The table is drawn again, as no feed reports who acts."""
        pane = self.query_one(AccountsPane)
        if pane.pointed_account is not None:
            self.box_app.act_as(pane.pointed_account.role or pane.pointed_account.address)
            pane.show_again()

    def action_roles(self) -> None:
        """Act in the usual roles again: the publisher publishes and the consumer orders."""
        self.box_app.act_as(None)
        self.query_one(AccountsPane).show_again()

    def action_faucet(self) -> None:
        """Open the form that gives the account test money. Only the box's own chain has a faucet; the verb
        refuses others.
        """
        account = self.query_one(AccountsPane).pointed_account
        if account is None:
            return
        who = account.role or str(account.index)
        fields = (FormField("ocean", "OCEAN to add", "100"), FormField("eth", "ETH to add", "1"))

        def preview(values: Values) -> str:
            return (
                f"{who} has {account.ocean:g} OCEAN and {account.eth:g} ETH\n"
                f"      and gets {values['ocean'] or 0} OCEAN and {values['eth'] or 0} ETH\n\n"
                "OCEAN is minted by its deployer, ETH comes from nothing:\nthis is a test chain."
            )

        def action(values: Values) -> UserAction:
            ocean, eth = _parse_amount(values["ocean"]), _parse_amount(values["eth"])
            source = self.box_app.source
            return UserAction(
                title=f"Give {who} {ocean:g} OCEAN and {eth:g} ETH?",
                command=source.command_line(f"faucet {who} --eth {eth:g} --ocean {ocean:g}"),
                verb=lambda _ask: source.fund_account(who, eth, ocean),
                proceed="Give",
                pokes=("accounts",),
            )

        self.box_app.fill_form(FormDialog(f"Faucet for {who}", fields, preview, action))

    def action_as_command(self) -> None:
        self.box_app.copy_command("accounts")


def _parse_amount(text: str) -> float:
    """Return the amount; an empty field is 0. Raises ``C2D-USAGE`` for a text that is no number."""
    try:
        return float(text or 0)
    except ValueError:
        raise UsageError("C2D-USAGE", f"{text} is no amount", "write a number") from None
