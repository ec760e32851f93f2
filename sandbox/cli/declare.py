"""How commands are declared: every one takes the global options and shows an example in its help."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from sandbox.cli.identifiers import ResolvingCommand
from sandbox.cli.settings import global_options

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
Declaration = Callable[[Callable[..., Any]], click.Command]
GroupDeclaration = Callable[[Callable[..., Any]], click.Group]


def command(example: str, *, context: dict[str, Any] | None = None, **attributes: Any) -> Declaration:
    """Declare a command; ``example`` (one line or several) ends its help. The global options are hidden in
    it, as every help would repeat them.
    """

    settings = {**CONTEXT, **(context or {})}
    make: Declaration = click.command(
        cls=ResolvingCommand, epilog=_help_epilog(example), context_settings=settings, **attributes
    )
    # The options are added first: click reads them from the function when it makes the command.
    return lambda function: make(global_options(function, hidden=True))


def group(example: str, cls: type[click.Group] = click.Group, **attributes: Any) -> GroupDeclaration:
    """Declare a command with subcommands."""

    def declare(function: Callable[..., Any]) -> click.Group:
        return click.group(cls=cls, epilog=_help_epilog(example), context_settings=CONTEXT, **attributes)(
            global_options(function, hidden=True)
        )

    return declare


def _help_epilog(example: str) -> str:
    """Return the end of a help text; click's mark for "do not wrap" keeps the lines of the example."""
    lines = "\n".join(f"  {line}" for line in example.splitlines())
    return f"\b\nExample:\n{lines}\n\nGlobal options (--home, --json, --as, --yes …): c2d-box --help"
