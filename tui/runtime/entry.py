"""Where the command line enters; ``sandbox.cli.commands.tui`` knows it by name."""

from __future__ import annotations

import os
import sys

from sandbox.box import Box

PACE = {"TEXTUAL_FPS": "120", "TEXTUAL_ANIMATIONS": "none"}
"""Textual reads these when it is imported. A key waits for the next frame, and what glides to its place is
there two frames later.
"""


def main(box: Box, who: str | None, *, read_only: bool, theme: str | None, no_color: bool) -> None:
    """Show the screens of ``box`` until the user leaves. The box goes on as it was."""
    if no_color:
        os.environ["NO_COLOR"] = "1"
    from tui.runtime.terminal_guard import guarded

    prepare()
    chosen = f"c2d-{theme}" if theme else "c2d-no-colour" if no_color else None

    def show() -> int:
        from tui.app import BoxApp
        from tui.backend.box_backend import Verbs
        from tui.runtime.ui_state import default_file

        app = BoxApp(Verbs(box), who=who, read_only=read_only, theme=chosen, memory_file=default_file())
        app.run()
        return int(app.return_code or 0)

    status = guarded(show)
    if status:
        sys.exit(status)


def prepare() -> None:
    """To be called before anything of Textual is imported."""
    from tui.runtime.gc_policy import put_off

    for name, value in PACE.items():
        os.environ.setdefault(name, value)
    put_off()
