"""The process of one browser page: the TUI, with the browser as its terminal."""

from __future__ import annotations

import argparse
from pathlib import Path

from sandbox.box import open_box
from tui.app import BoxApp
from tui.backend.box_backend import BoxBackend
from tui.runtime.ui_state import default_file


def main() -> None:
    """Run the TUI until the page is closed; the box goes on.

    :func:`tui.web.serving.served_command` writes this command line. There is no terminal guard: the process
    has no terminal, and the server ends it.
    """
    parser = argparse.ArgumentParser(prog="tui.web")
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--as", dest="who")
    parser.add_argument("--write", action="store_true")
    chosen = parser.parse_args()
    source = BoxBackend(open_box(chosen.home, chosen.name))
    # Read-only unless ``--write``, as the help of ``serve`` promises.
    app = BoxApp(source, who=chosen.who, read_only=not chosen.write, memory_file=default_file())
    app.run()


main()
