"""trust, simulate, edit, end: what a publisher says about an asset later, and what it means."""

from __future__ import annotations

import sys
from typing import Any

import click

from c2d_box.errors import UsageError
from sandbox.cli.declare import command
from sandbox.cli.identifiers import ACCOUNT, ALGORITHM, ASSET, DATASET
from sandbox.cli.narration import perform_verb
from sandbox.cli.opening import acting_account, ask_agreement, running_box
from sandbox.cli.output import print_json, print_pairs, print_text

# Exit status of a rule's no, as in ``sandbox.cli.failures``.
REFUSED = 5


def _parse_list(_context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> Any:
    """Return None for an option that was not given, which leaves the list as it is, and an empty tuple for
    ``none``, which empties it."""
    return None if not values else tuple(value for value in values if value != "none")


@command(
    "c2d-box trust did:op:DATASET --publisher 0xAb…\nc2d-box trust did:op:DATASET --market none\n"
    "c2d-box trust did:op:DATASET --all-published",
    name="trust",
)
@click.argument("dataset", type=DATASET)
@click.option(
    "--publisher",
    "publishers",
    multiple=True,
    type=ACCOUNT,
    callback=_parse_list,
    help="Trust all it publishes; none.",
)
@click.option(
    "--market",
    "markets",
    multiple=True,
    type=ACCOUNT,
    callback=_parse_list,
    help="Trust all from this market; none.",
)
@click.option("--all-published/--not-all-published", default=None, help="Trust whatever is published.")
@click.option("--raw/--no-raw", default=None, help="Code that is not published at all.")
@click.option("--network/--no-network", default=None, help="The publisher's yes to network access.")
def trust(dataset: str, **wanted: Any) -> None:
    """Whom a dataset of yours trusts besides single algorithms (permit). Says what it means, then asks."""
    from sandbox.verbs.publishing.trust import WARNINGS, TrustChange
    from sandbox.verbs.publishing.trust import change_trust as verb

    change = TrustChange(**wanted)
    # Only what opens the dataset further is asked about; closing it needs no second thought.
    warnings = [WARNINGS[name] for name, value in wanted.items() if value]
    for warning in warnings:
        print(f"! {warning}", file=sys.stderr)
    if warnings and not ask_agreement("Trust that far?"):
        raise UsageError("C2D-TRUST-NOT-CONFIRMED", "nothing was changed", "answer yes, or pass --yes")
    perform_verb(verb(running_box(), acting_account("publisher"), dataset, change))
    if not print_json({"dataset": dataset, **wanted}):
        print_text(f"{dataset} trusts as you said")


@command(
    "c2d-box simulate did:op:DATASET did:op:ALGORITHM\nc2d-box --as consumer2 simulate D A", name="simulate"
)
@click.argument("dataset", type=DATASET)
@click.argument("algorithm", type=ALGORITHM)
@click.option(
    "--with",
    "additional",
    multiple=True,
    type=DATASET,
    metavar="ASSET",
    help="A further dataset (repeatable).",
)
def simulate(dataset: str, algorithm: str, additional: tuple[str, ...]) -> None:
    """What a consumer (--as) would meet who started this job now: the price, or the refusal with its reasons.
    Asked of the Provider itself; nothing is paid. Exit status 5 when it would be refused.

    --json: {consumer, allowed, code, text, next_step, reasons, prices}.
    """
    from sandbox.demo.story import reason_lines
    from sandbox.verbs.compute.quotes import price_totals
    from sandbox.verbs.publishing.trust import simulate_job as verb

    seen = verb(running_box(), acting_account("consumer"), dataset, algorithm, additional)
    if not print_json(seen):
        verdict = "would start" if seen.allowed else f"would be refused: {seen.code}"
        print_pairs({"consumer": seen.consumer, "verdict": verdict})
        for line in [seen.text, *reason_lines(seen.reasons), seen.next_step]:
            if line:
                print_text(line)
        for price in seen.prices:
            due = ", ".join(f"{amount:.10g} {token}" for token, amount in price_totals([price]).items())
            print_text(f"{price.did}  {due or 'nothing'}")
    if not seen.allowed:
        raise click.exceptions.Exit(REFUSED)


@command(
    "c2d-box edit did:op:ASSET --name 'Patients 2026'\nc2d-box edit did:op:DATASET --disclosure rules.yaml\n"
    "c2d-box edit did:op:DATASET --disclosure none",
    name="edit",
)
@click.argument("did", type=ASSET)
@click.option("--name", "title", help="A new name.")
@click.option("--description", help="A new description.")
@click.option("--disclosure", metavar="FILE", help="Rules for results (YAML), or none to lift them.")
def edit(did: str, title: str | None, description: str | None, disclosure: str | None) -> None:
    """Change an asset's name, description or rules for results; its DID, price and permissions stay."""
    from sandbox.verbs.publishing.disclosure_rules import read_rules, write_rules
    from sandbox.verbs.publishing.trust import edit_asset as verb

    # Read first: a file with a mistake must not leave half of the change on the chain.
    rules = None if disclosure is None else read_rules(disclosure)
    # With nothing given at all the verb itself says what is missing.
    if title or description or rules is None:
        perform_verb(verb(running_box(), acting_account("publisher"), did, title, description))
    if rules is not None:
        perform_verb(write_rules(running_box(), acting_account("publisher"), did, rules))
    if not print_json({"did": did, "name": title, "description": description, "disclosure": rules}):
        print_text(f"{did} is changed")


@command("c2d-box end did:op:ASSET", name="end")
@click.argument("did", type=ASSET)
def end(did: str) -> None:
    """Declare an asset's end of life, after asking: nobody can order or use it any more."""
    from sandbox.verbs.publishing.trust import end_asset as verb

    if not ask_agreement(f"End {did}? Nobody can order or use it any more."):
        raise UsageError("C2D-END-NOT-CONFIRMED", "nothing was ended", "answer yes, or pass --yes")
    perform_verb(verb(running_box(), acting_account("publisher"), did))
    if not print_json({"did": did, "ended": True}):
        print_text(f"{did} has ended")
