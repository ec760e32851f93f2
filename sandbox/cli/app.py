"""The root command, and the one place where an exception becomes an exit status."""

from __future__ import annotations

import importlib
import os
import sys
from typing import TYPE_CHECKING

import click

from sandbox.cli.command_table import COMMANDS, SECTIONS
from sandbox.cli.settings import CliSettings, global_options

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

# The exit status of a wrong command line, as in ``sandbox.cli.failures`` and in click itself.
USAGE = 2
PROGRAM = "c2d-box"
COMPLETION = "_C2D_BOX_COMPLETE"
"""The variable with which a shell's completion script asks, as click names it."""


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

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Name the commands that a mistyped one resembles: click knows none of the names here."""
        known = args[0].startswith("-") or self.get_command(ctx, args[0]) is not None
        if not known and not ctx.resilient_parsing:
            from difflib import get_close_matches

            near = " or ".join(get_close_matches(args[0], COMMANDS, n=2))
            raise click.UsageError(
                f"No such command {args[0]!r}.{f' Did you mean {near}?' if near else ''}", ctx
            )
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return commands and options that begin so, with the help of the table: click's own method would
        import every module.
        """
        from click.shell_completion import CompletionItem

        texts = {name: text for section in SECTIONS.values() for name, (_, text) in section.items()}
        found = [
            CompletionItem(name, help=text) for name, text in texts.items() if name.startswith(incomplete)
        ]
        return [*found, *click.Command.shell_complete(self, ctx, incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands in sections, with texts of the table: click's own method would import every
        module for them.
        """
        for title, commands in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name, text) for name, (_, text) in commands.items()])


def _print_version(context: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    if not wanted or context.resilient_parsing:
        return
    from importlib.metadata import version

    click.echo(f"{PROGRAM} {version(PROGRAM)}")
    context.exit()


@click.command(
    cls=LazyGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Global options may stand before or after the command. Results go to stdout, narration to stderr. "
    "Exit status: 0 done, 1 failed, 2 usage, 3 machine, 4 state of the box, 5 refused by a rule, 130 Ctrl-C.",
)
@global_options
@click.option(
    "--version",
    "-V",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Print the version and leave.",
)
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
    if COMPLETION in os.environ:
        return _complete(settings, os.environ[COMPLETION])
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


def _complete(settings: CliSettings, instruction: str) -> int:
    """Answer a shell that asks what may come next (``c2d-box completion``), in click's protocol."""
    from click.shell_completion import shell_complete

    return shell_complete(root, {"obj": settings}, PROGRAM, COMPLETION, instruction)
