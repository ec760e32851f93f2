"""From the global options to the box and the acting account."""

from __future__ import annotations

import os
import sys

import click

from sandbox.box import Box, open_box
from sandbox.cli.settings import current


def the_box() -> Box:
    """The box this invocation is about."""
    settings = current()
    return open_box(settings.home, settings.box_name or os.environ.get("C2D_BOX_NAME"))


def agreed(question: str) -> bool:
    """Ask on stderr; ``--yes`` answers, and where nobody can answer the answer is no."""
    if current().yes:
        return True
    if not sys.stdin.isatty():
        return False
    return click.confirm(question, default=False, err=True)


def acting(default: str) -> str:
    """Who acts: ``--as``, else ``default``."""
    return current().act_as or default
