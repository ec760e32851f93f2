"""seed."""

from __future__ import annotations

from pathlib import Path

import click

from sandbox.cli.declare import command
from sandbox.cli.narration import perform_verb
from sandbox.cli.opening import running_box
from sandbox.cli.output import print_json, print_pairs


@command("c2d-box seed workshop.yaml\nc2d-box reset --assets --yes", name="seed")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def seed(file: Path) -> None:
    """Make the box hold what FILE declares: balances, assets, permissions. Safe to repeat; only what differs
    is done. `reset --assets` returns to this state.

    FILE is YAML or JSON:

    \b
      accounts:
        consumer: {ocean: 500, eth: 10}
      assets:
        patients: {type: dataset, file: patients.csv, price: 3, permit: [mean]}
        mean: {type: algorithm, file: mean.py, image: algo-python}

    More keys of an asset: url, owner, name, description, services, timeout, entrypoint, and for datasets
    trust: {publishers, markets, all_published, raw, network}. --json: {assets: {name: did}, changed: [name]}.
    """
    from sandbox.seeding import read_declaration
    from sandbox.seeding import seed as verb

    sown = perform_verb(verb(running_box(), read_declaration(file)))
    if not print_json(sown):
        print_pairs(dict(sown.assets))
