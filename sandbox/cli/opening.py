"""From the global options to the box and the acting account."""

from __future__ import annotations

import os
import re
import sys
from functools import cache

import click

from c2d_box.errors import C2DError
from sandbox.box import PROGRAM, Box, open_box
from sandbox.cli.command_table import BOXLESS, COMMANDS
from sandbox.cli.settings import CliSettings, current
from sandbox.display_text import visible_text


def the_box() -> Box:
    """Return the box this invocation is about. Opening reads ``box.json`` only and changes nothing."""
    settings = current()
    return open_box(settings.home, settings.box_name or os.environ.get("C2D_BOX_NAME"))


def running_box() -> Box:
    """Return the box this invocation is about; raise ``C2D-BOX-DOWN`` where it does not run, so that nothing
    is asked of another box that has its ports.
    """
    from sandbox.verbs.box_presence import demand_running_box

    box = the_box()
    demand_running_box(box)
    return box


def known_box() -> Box:
    """Return the box this invocation is about, running or not; raise ``C2D-BOX-DOWN`` where it was never
    made.
    """
    from sandbox.verbs.box_presence import demand_known_box

    box = the_box()
    demand_known_box(box)
    return box


def for_this_box(text: str, settings: CliSettings | None = None) -> str:
    """``text`` with each ``c2d-box VERB`` in it as it has to be typed for the box of this invocation.

    Texts of all layers name commands without knowing the box: pasted as they are, they would act on the
    default box. What names a box already is left alone, and so are commands that need none.
    """
    if PROGRAM not in text:
        return text
    settings = settings or current()
    name = settings.box_name or os.environ.get("C2D_BOX_NAME")
    try:
        prefix = open_box(settings.home, name).command_line("")
    except C2DError:
        # A message about a box that cannot be opened must still be printed.
        return text
    return _command_pattern().sub(lambda found: prefix + found[1], text)


@cache
def _command_pattern() -> re.Pattern[str]:
    """Return the pattern of ``c2d-box VERB``. Longest verbs first, and not inside a path or word."""
    verbs = "|".join(sorted(set(COMMANDS) - BOXLESS, key=len, reverse=True))
    return re.compile(rf"(?<![\w/.-]){PROGRAM} ({verbs})\b")


def ask_agreement(question: str) -> bool:
    """Ask on stderr; ``--yes`` answers, and where nobody can answer the answer is no."""
    if current().yes:
        return True
    # A script without ``--yes`` must not wait for ever, and must not agree by accident.
    if not sys.stdin.isatty():
        return False
    return click.confirm(visible_text(question), default=False, err=True)


def acting_account(default: str) -> str:
    """Who acts: ``--as``, else ``default``."""
    return current().act_as or default
