"""Panes about assets: the table of all, and one asset with its DDO. Both draw the same feed."""

from __future__ import annotations

import json

from rich.syntax import Syntax
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Static

from tui.backend.port import Ddo
from tui.live.feed import Feed
from tui.screens.assets.view import AssetView, asset_row
from tui.widgets.live_table import LiveTable
from tui.widgets.pane import Pane
from tui.widgets.text import one_line, safe_text


class AssetsPane(Pane):
    """The table of datasets and algorithms, newest first as the cache lists them."""

    def compose_body(self) -> ComposeResult:
        yield LiveTable("name", "type", "price", "services", "orders", "state", "did", id="assets-table")
        yield Static("", id="empty", markup=False)

    def on_mount(self) -> None:
        self.focus_first(self.query_one(LiveTable))

    def show_value(self, value: list[Ddo]) -> None:
        """Draw the assets. The title counts both kinds, since newcomers need one of each to go on."""
        views = [AssetView.from_ddo(ddo) for ddo in value]
        self.query_one(LiveTable).show_rows(map(asset_row, views))
        datasets = sum(view.kind == "dataset" for view in views)
        self.border_title = f"Assets: {datasets} datasets, {len(views) - datasets} algorithms"
        empty = "" if views else "Nothing published yet. n publishes a dataset, a an algorithm."
        self.query_one("#empty", Static).update(empty)


class DdoPane(Pane):
    """One asset: its facts in words, then its DDO. The words are for reading, the document is for checking
    what was signed.
    """

    def __init__(self, title: str, feed: Feed[list[Ddo]], did: str) -> None:
        super().__init__(title, feed, id="ddo")
        self._did = did

    def compose_body(self) -> ComposeResult:
        with VerticalScroll(can_focus=True):
            yield Static(id="words", markup=False)
            yield Static(id="document", markup=False)

    def on_mount(self) -> None:
        self.query_one(VerticalScroll).focus()

    def show_value(self, value: list[Ddo]) -> None:
        """Draw the asset. It may vanish while the screen is open, for instance by a reset of the assets."""
        found = next((ddo for ddo in value if ddo["id"] == self._did), None)
        if found is None:
            self.query_one("#words", Static).update("This asset is no longer in the cache.")
            return
        self.query_one("#words", Static).update(_ddo_text(found))
        # A publisher may write terminal sequences into any field of a DDO.
        text = safe_text(json.dumps(found, indent=2, ensure_ascii=False))
        # Colours of the terminal's own palette, so that the box's themes need no syntax colours.
        theme = "ansi_dark" if self.app.current_theme.dark else "ansi_light"
        self.query_one("#document", Static).update(
            Syntax(text, "json", theme=theme, background_color="default", word_wrap=True)
        )


def _ddo_text(ddo: Ddo) -> Text:
    """Return the asset's facts in two columns."""
    view = AssetView.from_ddo(ddo)
    lines = {
        "did": view.did,
        "name": view.name,
        "type": view.kind,
        "price": view.price,
        "services": ", ".join(view.services),
        "owner": view.owner,
        "state": view.state,
    }
    drawn = Text()
    # A publisher writes most of these: none may obey as a control sequence or look like another line.
    for name, value in lines.items():
        drawn.append(f"{name:<10}", "dim").append(f"{one_line(value)}\n")
    about = safe_text(ddo["metadata"].get("description") or "")
    drawn.append(f"{'about':<10}", "dim").append(f"{about}\n")
    return drawn
