"""The root command, the table of commands, and the one place where an exception becomes an exit status.

The table carries each command's one-line help, so that ``--help`` imports none of the command modules.
"""

from __future__ import annotations

import importlib
import os
import sys

import click

from sandbox.cli.settings import Settings, global_options

SECTIONS: dict[str, dict[str, tuple[str, str]]] = {
    "The box": {
        "up": ("lifecycle:up", "Boot the box, or resume it."),
        "down": ("lifecycle:down", "Stop everything, keep the state."),
        "status": ("status:status", "What runs where, and how healthy it is."),
        "reset": ("lifecycle:reset", "Stop and forget everything, after saying what."),
        "tui": ("tui:tui", "The terminal UI; also c2d-box without a command."),
        "serve": ("tui:serve", "The terminal UI in a browser on this machine."),
        "doctor": ("doctor:doctor", "Check this machine; each finding with its fix."),
        "env": ("status:env", "Shell exports for ocean.js, ocean.py and curl."),
        "logs": ("logs:logs", "Logs of a component or service."),
        "pods": ("looking:pods", "What Kubernetes runs for the box; --workflows, --job ID."),
        "chain": ("looking:chain", "Blocks, transactions and their decoded events."),
        "cid": ("looking:cid", "Read content from the box's IPFS node by its CID."),
        "kubectl": ("kubectl:kubectl", "kubectl, talking to the box's cluster."),
        "seed": ("seeding:seed", "Apply a list of accounts, assets and permissions."),
        "bundle": ("bundle:bundle", "Build, list and verify what a box is made of."),
        "images": ("images:images", "List algorithm images, import your own."),
        "selftest": (
            "selftest:selftest",
            "Attack this box with hostile algorithms, and say what came of it.",
        ),
        "demo": ("demo:demo", "A whole Compute-to-Data job on real data, explained."),
    },
    "Data and algorithms": {
        "accounts": ("accounts:accounts", "Accounts, roles and balances."),
        "publish": ("assets:publish", "Publish a dataset or an algorithm."),
        "assets": ("assets:assets", "Published assets."),
        "permit": ("assets:permit", "Let an algorithm compute on a dataset."),
        "revoke": ("assets:revoke", "Take that permission back."),
        "trust": ("rules:trust", "Trust publishers, markets, everybody, raw code."),
        "simulate": ("rules:simulate", "What a consumer would meet; pays nothing."),
        "edit": ("rules:edit", "Change an asset's name or description."),
        "end": ("rules:end", "Declare an asset's end of life."),
        "faucet": ("accounts:faucet", "Test money for an account."),
        "download": ("assets:download", "Order and download an access asset."),
    },
    "Jobs": {
        "run": ("loop:run", "A script on data in one command; after an edit again."),
        "new": ("loop:new", "A new algorithm from a template."),
        "quote": ("jobs:quote", "What a job or download costs now, or why it is refused."),
        "start": ("jobs:start", "Order and start a compute job."),
        "jobs": ("jobs:jobs", "Your jobs."),
        "job": ("jobs:job", "One job in detail (job ID), or its logs (job logs ID)."),
        "results": ("jobs:results", "List or fetch the results of a job."),
        "decrypt": ("jobs:decrypt", "Open a result that was encrypted for you."),
        "stop": ("jobs:stop", "Stop a running job."),
        "explain": ("evidence:explain", "How a job ended, and what to do about it."),
        "verify": ("evidence:verify", "Check a job's evidence against its sources."),
    },
}

USAGE = 2
COMMANDS = {name: target for section in SECTIONS.values() for name, (target, _) in section.items()}


class LazyGroup(click.Group):
    """Knows its commands by name; imports the module of the one that is run."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        target = COMMANDS.get(cmd_name)
        if target is None:
            return None
        module, attribute = target.split(":")
        command = getattr(importlib.import_module(f"sandbox.cli.commands.{module}"), attribute)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
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
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        click.echo(context.get_help(), err=True)
        context.exit(USAGE)
    opened = context.command.get_command(context, "tui") if isinstance(context.command, LazyGroup) else None
    assert opened is not None
    with opened.make_context("tui", [], parent=context) as inner:
        opened.invoke(inner)


def invoke(arguments: list[str]) -> int:
    """Run one command line; returns the exit status. No traceback leaves this function unless ``--debug``."""
    settings = Settings()
    try:
        with root.make_context("c2d-box", arguments, obj=settings) as context:
            root.invoke(context)
        return 0
    except click.exceptions.Exit as leave:
        return leave.exit_code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except (Exception, KeyboardInterrupt) as problem:
        from sandbox.cli.failures import report

        return report(problem, settings)
