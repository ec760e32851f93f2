"""demo."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from sandbox.cli.declare import command
from sandbox.cli.narration import perform_verb
from sandbox.cli.opening import ask_agreement, the_box
from sandbox.cli.output import print_json, print_pairs
from sandbox.cli.settings import current


@command("c2d-box demo\nc2d-box demo --to ./results --yes", name="demo")
@click.option(
    "--to",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("c2d-demo"),
    show_default=True,
    help="Where the results go.",
)
def demo(folder: Path) -> None:
    """A whole Compute-to-Data job on real data, step by step in plain words. Boots the box if it is down;
    leaves it up.

    --json: {job_id, dataset, algorithm, refusal, metrics, results: [{filename, cid, sha256, …}], cost,
    stages, …}.
    """
    from sandbox.demo.story import demo as story

    box = the_box()
    outcome = perform_verb(story(box, folder, yes=current().yes, confirm=ask_agreement))
    if not print_json(outcome):
        print_pairs(
            {
                "job": outcome.job_id,
                "accuracy": f"{outcome.metrics['accuracy']:.4f}",
                "results": outcome.folder,
                "paid": f"{outcome.cost:g} OCEAN",
            }
        )
    # On stderr and also after ``--json``: nobody should wonder what still runs.
    print(f"\nThe box stays up. Stop it with: {box.command_line('down')}", file=sys.stderr)
