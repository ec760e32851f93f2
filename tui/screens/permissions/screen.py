"""The permissions screen: datasets down, algorithms across; every cell says whether the pair is allowed and
why.
"""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from tui.actions.action import UserAction
from tui.screens.permissions.changing import permit_action, trust_form
from tui.screens.permissions.simulating import SimulationScreen
from tui.screens.permissions.widgets import MatrixPane, ReasonPane
from tui.widgets.base_screen import BoxScreen


class PermissionsScreen(BoxScreen):
    """The permissions screen. Enter toggles a cell after a confirmation, as every change is signed and costs
    a transaction.
    """

    NAME = "permissions"
    CSS = """
    #matrix { height: 2fr; }
    #why { height: 1fr; min-height: 8; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,space", "change", "Permit / revoke", id="permissions.toggle"),
        Binding("t", "trust", "Trust further", id="permissions.trust"),
        Binding("i", "simulate", "Simulate", id="permissions.simulate"),
        Binding("c", "as_command", "As command", id="permissions.command"),
    ]

    def compose_body(self) -> ComposeResult:
        feeds = self.box_app.feeds
        yield MatrixPane("Permissions", feeds.permissions, feeds.assets, id="matrix")
        yield ReasonPane("Why", id="why")

    def on_matrix_pane_pointed(self, event: MatrixPane.Pointed) -> None:
        """Show the reasons of the cell that the cursor has come to."""
        self.query_one(ReasonPane).explain_cell(event.cell, event.names)

    def on_matrix_pane_chosen(self, _event: MatrixPane.Chosen) -> None:
        """Toggle the cell: the table takes enter for itself and reports it."""
        self.action_change()

    def copied_text(self) -> str:
        """Return the two DIDs, as ``permit`` and ``revoke`` take them."""
        cell = self.query_one(MatrixPane).pointed_cell
        return f"{cell.dataset} {cell.algorithm}" if cell else ""

    def action_change(self) -> None:
        """Permit a denied pair or revoke an allowed one, after a confirmation."""
        action = self._cell_action()
        if action is not None:
            self.box_app.perform_action(action)

    def action_as_command(self) -> None:
        """Copy the command that would toggle the cell."""
        action = self._cell_action()
        if action is not None:
            self.box_app.copy_text(action.command)

    def _cell_action(self) -> UserAction | None:
        """Return the action for the cell under the cursor; None while there is no cell."""
        matrix = self.query_one(MatrixPane)
        return (
            None
            if matrix.pointed_cell is None
            else permit_action(self.box_app, matrix.pointed_cell, matrix.names)
        )

    def action_trust(self) -> None:
        """Open the dataset's switches that trust more than single algorithms."""
        matrix = self.query_one(MatrixPane)
        if matrix.pointed_cell is None:
            return
        dataset = matrix.pointed_cell.dataset
        form = trust_form(self.box_app, dataset, matrix.names.get(dataset, dataset))
        if form is not None:
            self.box_app.fill_form(form)

    def action_simulate(self) -> None:
        """Ask for each account what a start of this pair would meet. Permissions are only one of the reasons
        for a refusal.
        """
        matrix = self.query_one(MatrixPane)
        if matrix.pointed_cell is not None:
            cell, names = matrix.pointed_cell, matrix.names
            dataset, algorithm = names.get(cell.dataset, "?"), names.get(cell.algorithm, "?")
            title = f"{algorithm} on {dataset}: who would be let in?"
            self.app.push_screen(SimulationScreen(cell.dataset, cell.algorithm, title))
