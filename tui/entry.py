"""Where the command line enters; ``sandbox.cli.commands.tui`` knows it by name."""

from __future__ import annotations

import os
import sys

from sandbox.box import Box


def main(box: Box, who: str | None, *, read_only: bool, theme: str | None, no_color: bool) -> None:
    """Show the screens of ``box`` until the user leaves. The box goes on as it was."""
    if no_color:
        os.environ["NO_COLOR"] = "1"
    from tui.collecting import put_off
    from tui.ending import guarded

    put_off()

    chosen = f"c2d-{theme}" if theme else "c2d-no-colour" if no_color else None

    def show() -> int:
        from tui.app import BoxApp
        from tui.memory import default_file
        from tui.verbs import Verbs

        app = BoxApp(Verbs(box), who=who, read_only=read_only, theme=chosen, memory_file=default_file())
        app.run()
        return int(app.return_code or 0)

    status = guarded(show)
    if status:
        sys.exit(status)
