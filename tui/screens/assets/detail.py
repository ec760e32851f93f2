"""The screen of one asset with its DDO."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll

from tui.screens.assets.changing import edit_asset, end_asset
from tui.screens.assets.widgets import DdoPane
from tui.widgets.base_screen import BoxScreen


class AssetScreen(BoxScreen):
    """Shows one asset; opened from the table, esc goes back. It reads the feed of all assets: the metadata
    cache answers with whole records, so there is nothing more to ask.
    """

    NAME = "assets"
    CSS = "#ddo #words { margin-bottom: 1; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        # The keys that move the cursor in tables; there is no cursor here, so they scroll.
        Binding("j", "scroll(1)", show=False, id="asset.down"),
        Binding("k", "scroll(-1)", show=False, id="asset.up"),
        Binding("e", "edit", "Edit", id="asset.edit"),
        Binding("x", "end", "End", id="asset.end"),
        Binding("c", "as_command", "As command", id="asset.command"),
    ]

    def __init__(self, did: str) -> None:
        super().__init__()
        self.did = did

    def compose_body(self) -> ComposeResult:
        yield DdoPane("Asset", self.box_app.feeds.assets, self.did)

    def copied_text(self) -> str:
        """Return the DID, as every command takes it."""
        return self.did

    def action_scroll(self, lines: int) -> None:
        """Scroll the DDO by ``lines``, up where negative; animation would lag behind a held key."""
        self.query_one(VerticalScroll).scroll_relative(y=lines, animate=False)

    def action_as_command(self) -> None:
        """Copy the command that prints this DDO; the command line has no verb for a single asset."""
        self.box_app.copy_command(f"assets --json | jq '.[] | select(.id == \"{self.did}\")'")

    def action_edit(self) -> None:
        edit_asset(self.box_app, self.did)

    def action_end(self) -> None:
        end_asset(self.box_app, self.did)
