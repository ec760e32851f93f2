"""State that the TUI keeps between runs: screen, theme, filters, column widths, and the reader's own keys.

A file that cannot be read or written is no reason to fail: the defaults hold.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from c2d_box.files import replace_file


@dataclass
class UiState:
    """The remembered state. ``keys`` rebinds keys by binding id, as in ``{"screen.jobs": "f2"}``."""

    screen: str = "dashboard"
    theme: str = "c2d-dark"
    filters: dict[str, str] = field(default_factory=dict)
    widths: dict[str, dict[str, int]] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    tour: int = -1
    """The step of the guided tour. While the tour is hidden: the bitwise complement of the step to resume at
    (-1: the first).
    """

    @classmethod
    def load_state(cls, file: Path | None) -> UiState:
        """Return the state in ``file``, with the default for every entry that is missing or of
        another type.
        """
        try:
            document: dict[str, Any] = json.loads(file.read_text()) if file else {}
        except (OSError, ValueError):
            return cls()
        memory = cls()
        for item in fields(cls):
            value = document.get(item.name) if isinstance(document, dict) else None
            # The file may be written by another version or by hand; the type of the default is the schema.
            if isinstance(value, type(getattr(memory, item.name))):
                setattr(memory, item.name, value)
        return memory

    def save_state(self, file: Path | None) -> None:
        """Write the state, atomically: two screens of one user may leave at the same time."""
        if file is None:
            return
        try:
            replace_file(file, json.dumps(asdict(self), indent=2) + "\n")
        except OSError:
            return


def default_file() -> Path:
    """Return the path ``$XDG_STATE_HOME/c2d-box/tui.json``."""
    state = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(state) / "c2d-box" / "tui.json"
