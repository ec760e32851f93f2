"""The options every command takes, before or after its name, and the value object they fill."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


@dataclass
class CliSettings:
    """What the global options of one invocation said."""

    home: Path | None = None
    box_name: str | None = None
    json: bool = False
    act_as: str | None = None
    yes: bool = False
    no_color: bool = False
    debug: bool = False
    wide: bool = False


def current() -> CliSettings:
    """The settings of the running command."""
    settings = click.get_current_context().find_object(CliSettings)
    assert settings is not None
    return settings


def _store_option(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    settings = context.find_object(CliSettings)
    # Every level of commands has the options: one that was not given must not undo what stood before the
    # command.
    if settings is not None and value not in (None, False):
        setattr(settings, str(parameter.name), value)


def global_options(command: F, *, hidden: bool = False) -> F:
    """Give ``command`` the global options; their values land in :class:`CliSettings`, not in its arguments.

    Where the command has an option of the same name its own wins (an asset's ``--name``), and the global one
    stands before the command only.
    """
    # click keeps a function's options here until the command is made.
    own = {name for parameter in getattr(command, "__click_params__", ()) for name in parameter.opts}
    for names, attributes in reversed([option for option in _OPTIONS if not own.intersection(option[0])]):
        # Options are added in reverse, as decorators pile up from the inside.
        command = click.option(
            *names, expose_value=False, callback=_store_option, hidden=hidden, **attributes
        )(command)
    return command


def _complete_accounts(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Return the roles that begin so, for a shell."""
    from sandbox.verbs.accounts import ROLES

    return [role for role in ROLES if role.startswith(incomplete)]


def _complete_boxes(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Return the names of boxes that begin so, for a shell."""
    from sandbox.box import list_box_names

    return [name for name in list_box_names() if name.startswith(incomplete)]


_OPTIONS: tuple[tuple[tuple[str, ...], dict[str, Any]], ...] = (
    (
        ("--home",),
        {
            "type": click.Path(file_okay=False, path_type=Path),
            "help": "The box's folder (also C2D_BOX_HOME).",
        },
    ),
    (
        ("--name", "box_name"),
        {
            "metavar": "NAME",
            "help": "Name of the box (default c2d); another name is another box.",
            "shell_complete": _complete_boxes,
        },
    ),
    (
        ("--json",),
        {"is_flag": True, "help": "Machine-readable result on stdout, events as JSON lines on stderr."},
    ),
    (
        ("--as", "act_as"),
        {
            "metavar": "ACCOUNT",
            "help": "Who acts: a role (see accounts) or a 0x address.",
            "shell_complete": _complete_accounts,
        },
    ),
    (("--yes", "-y"), {"is_flag": True, "help": "Answer yes to every question."}),
    (("--no-color",), {"is_flag": True, "help": "No colours, no live display (also NO_COLOR)."}),
    (("--wide",), {"is_flag": True, "help": "Tables in full: whole ids and all columns, however wide."}),
    (("--debug",), {"is_flag": True, "help": "Show the traceback of an error."}),
)
