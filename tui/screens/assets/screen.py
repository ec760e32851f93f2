"""Assets: everything that is published; enter opens one, ``n`` publishes a dataset, ``a`` an algorithm."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import DataTable

from tui.screens.assets.changing import edit_asset, end_asset
from tui.screens.assets.detail import AssetScreen
from tui.screens.assets.publishing import algorithm_form, dataset_form
from tui.screens.assets.widgets import AssetsPane
from tui.widgets.base_screen import BoxScreen


class AssetsScreen(BoxScreen):
    """The assets screen. Keys that change an asset act on the row under the cursor, for whatever account it
    has; the verb refuses what the acting account does not own.
    """

    NAME = "assets"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n", "publish_dataset", "New dataset", id="assets.dataset"),
        Binding("a", "publish_algorithm", "New algorithm", id="assets.algorithm"),
        Binding("e", "edit", "Edit", id="assets.edit"),
        Binding("x", "end", "End", id="assets.end"),
        Binding("d,y", "read", "DDO", show=False, id="assets.read"),
        Binding("c", "as_command", "As command", id="assets.command"),
    ]

    def compose_body(self) -> ComposeResult:
        yield AssetsPane("Assets", self.box_app.feeds.assets, id="assets")

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        """Open the asset. The row's key is its DID."""
        self.app.push_screen(AssetScreen(str(event.row_key.value)))

    def action_read(self) -> None:
        """Open the asset under the cursor with ``d`` or ``y``, as in the cluster screen."""
        if self.active_table is not None and self.active_table.selected_row is not None:
            self.app.push_screen(AssetScreen(self.active_table.selected_row.key))

    def action_publish_dataset(self) -> None:
        """Open the form; nothing is signed before its confirmation."""
        self.box_app.fill_form(dataset_form(self.box_app))

    def action_publish_algorithm(self) -> None:
        images = self.box_app.feeds.images
        # Makes the feed ask, so that the form knows the node's images the next time it is opened.
        images.add_listener(self)
        self.box_app.fill_form(algorithm_form(self.box_app, images.reading.value))

    def on_screen_suspend(self) -> None:
        """Leave the images' feed; it still finishes the question that it was asked."""
        self.box_app.feeds.images.remove_listener(self)

    def action_as_command(self) -> None:
        self.box_app.copy_command("assets")

    def action_edit(self) -> None:
        if self.active_table is not None and self.active_table.selected_row is not None:
            edit_asset(self.box_app, self.active_table.selected_row.key)

    def action_end(self) -> None:
        if self.active_table is not None and self.active_table.selected_row is not None:
            end_asset(self.box_app, self.active_table.selected_row.key)
