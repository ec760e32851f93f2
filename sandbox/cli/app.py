"""The root command, and the one place where an exception becomes an exit status."""

from __future__ import annotations

import importlib
import os
import sys

import click

from sandbox.cli.command_table import COMMANDS, SECTIONS
from sandbox.cli.settings import CliSettings, global_options

# The exit status of a wrong command line, as in ``sandbox.cli.failures`` and in click itself.
USAGE = 2


class LazyGroup(click.Group):
    """Knows its commands by name; imports the module of the one that is run. ``--help`` therefore imports
    none of them.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return all names, in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one command; None for a name that does not exist, which click turns into a usage
        error.
        """
        target = COMMANDS.get(cmd_name)
        if target is None:
            return None
        module, attribute = target.split(":")
        command = getattr(importlib.import_module(f"sandbox.cli.commands.{module}"), attribute)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands in sections, with texts of the table: click's own method would import every
        module for them.
        """
        for title, commands in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name, text) for name, (_, text) in commands.items()])


@click.command(
    cls=LazyGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Global options may stand before or after the command. Results go to stdout, narration to stderr. "
    "Exit status: 0 done, 1 failed, 2 usage, 3 machine, 4 state of the box, 5 refused by a rule, 130 Ctrl-C.",
)
@global_options
@click.pass_context
def root(context: click.Context) -> None:
    """Compute-to-Data on one computer: the data stays, the algorithm travels.

    \b
    c2d-box demo        a whole job on real data, explained step by step
    c2d-box up          boot the box
    c2d-box status      what runs where
    c2d-box             the terminal UI
    """
    if context.invoked_subcommand is not None:
        return
    # Without a terminal there is nobody to show screens to: a script that forgot the command gets help and an
    # error.
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        click.echo(context.get_help(), err=True)
        context.exit(USAGE)
    opened = context.command.get_command(context, "tui") if isinstance(context.command, LazyGroup) else None
    assert opened is not None
    with opened.make_context("tui", [], parent=context) as inner:
        opened.invoke(inner)


def invoke(arguments: list[str]) -> int:
    """Run one command line; returns the exit status. No traceback leaves this function unless ``--debug``.

    click's standalone mode is not used: it would print errors in its own words and choose its own statuses.
    """
    # Made here and not by click, so that ``--json`` and ``--debug`` hold for errors in the command line
    # itself.
    settings = CliSettings()
    try:
        with root.make_context("c2d-box", arguments, obj=settings) as context:
            root.invoke(context)
        return 0
    except click.exceptions.Exit as leave:
        return leave.exit_code
    except BrokenPipeError:
        # The reader of a pipe left (``c2d-box jobs | head``). Python flushes stdout at exit and would
        # complain again, so stdout leads to nowhere from now on. 141 is 128 plus SIGPIPE, as in a shell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except (Exception, KeyboardInterrupt) as problem:
        from sandbox.cli.failures import report_problem

        return report_problem(problem, settings)
