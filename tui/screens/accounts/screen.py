"""Accounts: roles and balances; enter acts as one."""

from __future__ import annotations

from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import DataTable

from tui.boxscreen import BoxScreen
from tui.panes import Pane
from tui.tables import LiveTable, Row


class AccountsPane(Pane):
    """The accounts of the box's mnemonic."""

    def body(self) -> ComposeResult:
        yield LiveTable("role", "index", "OCEAN", "ETH", "address", id="accounts-table")

    def on_mount(self) -> None:
        self.query_one(LiveTable).focus()

    def show(self, value: Any) -> None:
        acting = {self.box_app.publisher, self.box_app.consumer}
        rows = []
        for account in value:
            role = account.role or "-"
            mark = "▶" if acting & {account.role, account.address, str(account.index)} else " "
            cells = (
                f"{mark} {role}",
                str(account.index),
                f"{account.ocean:.2f}",
                f"{account.eth:.2f}",
                account.address,
            )
            rows.append(Row(account.address, cells, "good" if mark == "▶" else ""))
        self.query_one(LiveTable).show(rows)


class AccountsScreen(BoxScreen):
    """Screen 8."""

    NAME = "accounts"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "act", "Act as", id="accounts.act"),
        Binding("R,shift+r", "roles", "Usual roles", id="accounts.roles", key_display="R"),
        Binding("c", "as_command", "As command", id="accounts.command"),
    ]

    def body(self) -> ComposeResult:
        yield AccountsPane("Accounts", self.box_app.feeds.accounts, id="accounts")

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        address = str(event.row_key.value)
        pane = self.query_one(AccountsPane)
        known = pane.feeds[0].reading.value or []
        account = next(account for account in known if account.address == address)
        self.box_app.act_as(account.role or address)
        pane.again()

    def action_roles(self) -> None:
        self.box_app.act_as(None)
        pane = self.query_one(AccountsPane)
        pane.again()

    def action_as_command(self) -> None:
        self.box_app.copy_command("accounts")
