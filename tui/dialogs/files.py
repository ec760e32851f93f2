"""A file picker: a directory tree with the keys of every other list."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import DirectoryTree, Static


class FilePicker(ModalScreen[Path | None]):
    """Picks a file, starting at the folder of ``path``; the result is the file, or None."""

    CSS_PATH = "dialogs.tcss"
    AUTO_FOCUS = "DirectoryTree"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "leave", "Cancel", id="files.cancel"),
        Binding("j", "move(1)", show=False, id="files.down"),
        Binding("k", "move(-1)", show=False, id="files.up"),
        Binding("backspace,h", "up", "Folder above", id="files.above"),
    ]

    def __init__(self, path: Path) -> None:
        super().__init__()
        # What was typed so far may be a file, a folder or nothing that exists; the tree needs a folder.
        place = path.expanduser()
        self._folder = (place if place.is_dir() else place.parent).resolve()

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog -tall"):
            yield Static("Pick a file", classes="title", markup=False)
            yield Static("enter picks or opens · h one folder up · esc leaves", classes="quiet", markup=False)
            yield DirectoryTree(self._folder)

    def on_directory_tree_file_selected(self, event: DirectoryTree.FileSelected) -> None:
        self.dismiss(event.path)

    def action_leave(self) -> None:
        self.dismiss(None)

    def action_move(self, by: int) -> None:
        tree = self.query_one(DirectoryTree)
        if by > 0:
            tree.action_cursor_down()
        else:
            tree.action_cursor_up()

    def action_up(self) -> None:
        """Show the folder above; at the root nothing changes, as its parent is itself."""
        tree = self.query_one(DirectoryTree)
        self._folder = self._folder.parent
        tree.path = self._folder
