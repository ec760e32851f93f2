"""tui: also what ``c2d-box`` without a command opens on a terminal.

The screens are found by entry point, not imported: they stand on the sandbox, never the other way round.
"""

from __future__ import annotations

import sys
from importlib.metadata import entry_points

import click

from c2d_box.errors import EnvironmentProblem, UsageError
from sandbox.cli.declare import command
from sandbox.cli.opening import the_box
from sandbox.cli.settings import current

GROUP, NAME = "c2d_box.screens", "tui"
THEMES = click.Choice(["dark", "light", "high-contrast", "no-colour"])


@command("c2d-box\nc2d-box tui --read-only\nc2d-box tui --theme light", name="tui")
@click.option("--read-only", is_flag=True, help="Look at everything, change nothing.")
@click.option("--theme", type=THEMES, help="Colours (default: as last time).")
def tui(read_only: bool, theme: str | None) -> None:
    """The terminal UI: the box, its assets, permissions, jobs, results and logs, two keys away. ? lists the
    keys.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("C2D-USAGE-TTY", "the terminal UI needs a terminal", "c2d-box --help")
    screens = next(iter(entry_points(group=GROUP, name=NAME)), None)
    if screens is None:
        raise EnvironmentProblem(
            "C2D-TUI-MISSING", "this installation has no terminal UI", "install c2d-box again"
        )
    settings = current()
    screens.load()(the_box(), settings.act_as, read_only=read_only, theme=theme, no_color=settings.no_color)
