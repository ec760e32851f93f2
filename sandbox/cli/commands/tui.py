"""tui, serve. The first is also what ``c2d-box`` without a command opens on a terminal.

The screens are found by name when they are asked for, never imported: they stand on the sandbox, not the
other way round. (As entry points they would be found as well; reading what is installed costs 40 ms of the
first paint.)
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pkgutil import resolve_name

import click

from c2d_box.errors import EnvironmentProblem, UsageError
from sandbox.cli.declare import command
from sandbox.cli.opening import the_box
from sandbox.cli.settings import current

SCREENS = {"tui": "tui.entry:main", "serve": "tui.web.serving:main"}
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
    settings = current()
    _load_entry("tui")(
        the_box(), settings.act_as, read_only=read_only, theme=theme, no_color=settings.no_color
    )


@command("c2d-box serve\nc2d-box serve --write --port 8765", name="serve")
@click.option("--port", default=0, help="On 127.0.0.1; 0 takes a free one.")
@click.option("--write", is_flag=True, help="The page may change things; without it, look only.")
def serve(port: int, write: bool) -> None:
    """The terminal UI in a browser on this machine. Prints an address whose token opens one browser once;
    pages of other origins are refused. Ctrl-C ends it, the box goes on.
    """
    _load_entry("serve")(the_box(), current().act_as, port=port, write=write)


def _load_entry(name: str) -> Callable[..., None]:
    """Return the function behind a name of ``SCREENS``. Raises ``C2D-TUI-MISSING`` where the package ``tui``
    or its dependencies are not installed.
    """
    try:
        found: Callable[..., None] = resolve_name(SCREENS[name])
    except ModuleNotFoundError as missing:
        raise EnvironmentProblem(
            "C2D-TUI-MISSING", f"this installation has no terminal UI: {missing}", "install c2d-box again"
        ) from missing
    return found
