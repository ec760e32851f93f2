"""What the TUI remembers between runs: screen, theme, filters, and the reader's own keys.

A file that cannot be read or written is no reason to fail: the defaults hold.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path


@dataclass
class Memory:
    """``keys`` rebinds by id, as in ``{"screen.jobs": "f2"}``."""

    screen: str = "dashboard"
    theme: str = "c2d-dark"
    filters: dict[str, str] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)

    @classmethod
    def load(cls, file: Path | None) -> Memory:
        try:
            document = json.loads(file.read_text()) if file else {}
            known = {item.name: type(getattr(cls(), item.name)) for item in fields(cls)}
            return cls(**{k: v for k, v in document.items() if isinstance(v, known.get(k, ()))})
        except (OSError, ValueError, AttributeError, TypeError):
            return cls()

    def save(self, file: Path | None) -> None:
        if file is None:
            return
        scratch = file.with_suffix(f".{os.getpid()}")
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            scratch.write_text(json.dumps(asdict(self), indent=2) + "\n")
            scratch.replace(file)
        except OSError:
            return


def default_file() -> Path:
    """``$XDG_STATE_HOME/c2d-box/tui.json``."""
    state = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(state) / "c2d-box" / "tui.json"
