"""Permissions: datasets down, algorithms across; every cell says whether and why."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from tui.actions import Action
from tui.boxscreen import BoxScreen
from tui.screens.permissions.widgets import MatrixPane, ReasonPane


class PermissionsScreen(BoxScreen):
    """Screen 4."""

    NAME = "permissions"
    CSS_PATH = "permissions.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,space", "change", "Permit / revoke", id="permissions.toggle"),
        Binding("c", "as_command", "As command", id="permissions.command"),
    ]

    def body(self) -> ComposeResult:
        feeds = self.box_app.feeds
        yield MatrixPane("Permissions", feeds.permissions, feeds.assets, id="matrix")
        yield ReasonPane("Why", id="why")

    def on_matrix_pane_pointed(self, event: MatrixPane.Pointed) -> None:
        self.query_one(ReasonPane).explain(event.cell, event.names)

    def on_matrix_pane_chosen(self, _event: MatrixPane.Chosen) -> None:
        self.action_change()

    def copied(self) -> str:
        cell = self.query_one(MatrixPane).pointed
        return f"{cell.dataset} {cell.algorithm}" if cell else ""

    def action_change(self) -> None:
        action = self._change()
        if action is not None:
            self.box_app.perform(action)

    def action_as_command(self) -> None:
        action = self._change()
        if action is not None:
            self.box_app.copy_text(action.command)

    def _change(self) -> Action | None:
        matrix = self.query_one(MatrixPane)
        cell = matrix.pointed
        if cell is None:
            return None
        app, names = self.box_app, matrix.names
        who, source = app.publisher, app.source
        dataset = names.get(cell.dataset, cell.dataset)
        algorithm = names.get(cell.algorithm, cell.algorithm)
        verb = "revoke" if cell.allowed else "permit"
        sign = "-" if cell.allowed else "+"
        change = source.revoke if cell.allowed else source.permit
        return Action(
            title=f"{'Revoke' if cell.allowed else 'Permit'} {algorithm} on {dataset}?",
            command=app.command(f"{verb} {cell.dataset} {cell.algorithm}"),
            verb=lambda _ask: change(who, cell.dataset, cell.algorithm),
            effects=(
                f"account {who} signs a new version of the dataset's DDO, on the chain:",
                f"{sign} publisherTrustedAlgorithms: {algorithm}, with the checksums it has now",
            ),
            losses=("nobody can start this algorithm on this dataset; jobs under way go on",)
            if cell.allowed
            else (),
            proceed=verb.capitalize(),
            pokes=("permissions", "assets"),
        )
