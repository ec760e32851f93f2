"""run, new algorithm: the one-command loop.

``run`` repeats safely: it publishes what is new or has changed and uses again what has not, so that an edit
costs no more than its own change.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from sandbox.cli.declare import command, group
from sandbox.cli.identifiers import complete_data, complete_environment, complete_image
from sandbox.cli.limits import spending_options
from sandbox.cli.narration import perform_verb
from sandbox.cli.opening import acting_account, ask_agreement, running_box, the_box
from sandbox.cli.output import print_json, print_line, print_pairs
from sandbox.defaults import ENTRYPOINT, IMAGE

if TYPE_CHECKING:
    from c2d_box.client import SpendingLimits

FILE = click.Path(dir_okay=False, path_type=Path)
FOLDER = click.Path(file_okay=False, path_type=Path)


@command(
    "c2d-box run count.py --data patients.csv\n"
    "c2d-box run count.py --data did:op:… --data more.csv --yes\n"
    "c2d-box run count.py --data patients.csv --dry",
    name="run",
)
@click.argument("script", type=FILE)
@click.option(
    "--data",
    multiple=True,
    required=True,
    metavar="ASSET|FILE",
    shell_complete=complete_data,
    help="What to run on (repeatable).",
)
@click.option(
    "--image",
    default=IMAGE,
    show_default=True,
    shell_complete=complete_image,
    help="See: c2d-box images list.",
)
@click.option("--entrypoint", default=ENTRYPOINT, show_default=True, help="Command line in the image.")
@click.option(
    "--environment",
    metavar="ID",
    shell_complete=complete_environment,
    help="Compute environment (default: the first free one).",
)
@click.option("--to", "folder", type=FOLDER, default=Path("c2d-results"), show_default=True, help="Results.")
@click.option("--dry", is_flag=True, help="On this desk, without a box: --data are files.")
@spending_options
def run(
    script: Path,
    data: tuple[str, ...],
    image: str,
    entrypoint: str,
    environment: str | None,
    folder: Path,
    dry: bool,
    spending: SpendingLimits,
) -> None:
    """Publish or update, permit (after showing what), order, start, follow, save the results. After an edit
    the same command again.

    --as orders and writes the algorithm; who owns the data permits. --json: {job, datasets, algorithm,
    published, permitted, folder, files}; with --dry: {folder, outputs, log, seconds,
    refused: [[path, reason]], refused_count}.
    """
    if dry:
        from sandbox.loop.trying import dry_run

        # Before anything runs: a dry run uses no image and no environment.
        _refuse_options_of_the_box()
        tried = perform_verb(dry_run(script, [Path(each) for each in data], folder / "dry", entrypoint))
        if not print_json(tried):
            for path in tried.outputs:
                print_line(path)
        return
    # Imported only here: a dry run needs neither client nor chain.
    from sandbox.loop.running import ScriptRun, run_script, unfinished_error

    box = running_box()
    loop = ScriptRun(
        script,
        data,
        image,
        entrypoint,
        acting_account("consumer"),
        "publisher",
        folder,
        environment,
        spending,
    )
    ran = perform_verb(run_script(box, loop, ask_agreement))
    if not print_json(ran):
        print_pairs({"job": ran.job.id, "status": f"{ran.job.status} {ran.job.text}"})
        for item in ran.files:
            print_line(item.path)
    if not ran.succeeded:
        # The results of a failed job are printed all the same: they hold its log.
        raise unfinished_error(box, ran)


def _refuse_options_of_the_box() -> None:
    """Raise ``C2D-TRY-OPTION`` for an option that ``--dry`` would take and ignore: the user would believe
    that it had been tried."""
    from c2d_box.errors import UsageError

    context = click.get_current_context()
    for option in ("image", "environment"):
        # A default counts as not given.
        if context.get_parameter_source(option) is ParameterSource.COMMANDLINE:
            raise UsageError(
                "C2D-TRY-OPTION",
                f"--{option} has no meaning with --dry, which runs on this machine without an image",
                "leave one of the two out",
            )


@group("c2d-box new algorithm count", name="new")
def new() -> None:
    """Make something new from a template."""


@command("c2d-box new algorithm count\nc2d-box run count/algorithm.py --data patients.csv", name="algorithm")
@click.argument("name")
def algorithm_from_template(name: str) -> None:
    """A folder with a script that runs, sample data, and the outputs of its first dry run on this desk.

    --json: {folder, script, sample, tried: {folder, outputs, log, seconds}}.
    """
    from sandbox.loop.creating import new_algorithm

    created = perform_verb(new_algorithm(name))
    if not print_json(created):
        for path in (created.script, created.sample, *created.tried.outputs):
            print_line(path)
        box = the_box()
        print(f"\nnext: edit {created.script}; try it: ", end="", file=sys.stderr)
        print(f"{box.command_line(f'run {created.script} --data {created.sample} --dry')}", file=sys.stderr)
        print(f"then for real: {box.command_line(f'run {created.script} --data FILE')}", file=sys.stderr)


new.add_command(algorithm_from_template)
