"""Entry point of the TUI; ``sandbox.cli.commands.tui`` refers to it by name."""

from __future__ import annotations

import os
import sys

from sandbox.box import Box

PACE = {"TEXTUAL_FPS": "120", "TEXTUAL_ANIMATIONS": "none"}
"""Settings that Textual reads from the environment when it is imported. A key press waits for the next frame,
so 120 frames a second; without animations, as a scroll that glides arrives two frames later.
"""


def main(box: Box, who: str | None, *, read_only: bool, theme: str | None, no_color: bool) -> None:
    """Show the screens of ``box`` until the user leaves. The box goes on as it was.

    The process ends with the status of the child that held the screens, so that a caller sees a kill as 128
    plus the signal.
    """
    if no_color:
        # Textual knows no argument for it: the application reads the variable when it is made.
        os.environ["NO_COLOR"] = "1"
    from tui.runtime.terminal_guard import run_guarded

    prepare_textual()
    chosen = f"c2d-{theme}" if theme else "c2d-no-colour" if no_color else None

    # ``show`` runs in the child, and so do its imports: the guard, which only waits, stays small.
    def show() -> int:
        from tui.app import BoxApp
        from tui.backend.box_backend import BoxBackend
        from tui.runtime.ui_state import default_file

        app = BoxApp(BoxBackend(box), who=who, read_only=read_only, theme=chosen, memory_file=default_file())
        app.run()
        return int(app.return_code or 0)

    status = run_guarded(show)
    if status:
        sys.exit(status)


def prepare_textual() -> None:
    """Set the environment and put off garbage collection; call it before anything of Textual is imported."""
    from tui.runtime.gc_policy import postpone_collection

    # The user's own environment wins: a slow connection may want fewer frames.
    for name, value in PACE.items():
        os.environ.setdefault(name, value)
    postpone_collection()
