"""publish, assets, permit, revoke, download.

What is signed acts as ``publisher`` unless ``--as`` says otherwise; a download is ordered and paid by
``consumer``. Each verb narrates on stderr and prints its result on stdout.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sandbox.cli.declare import command, group
from sandbox.cli.identifiers import ALGORITHM, ASSET, DATASET, complete_image, complete_owner
from sandbox.cli.limits import spending_options
from sandbox.cli.narration import perform_verb
from sandbox.cli.opening import acting_account, for_this_box, running_box, the_box
from sandbox.cli.output import (
    age_text,
    is_wide,
    print_json,
    print_line,
    print_pairs,
    print_table,
    print_text,
    time_text,
)
from sandbox.defaults import ENTRYPOINT, IMAGE

if TYPE_CHECKING:
    from c2d_box.client import SpendingLimits
    from sandbox.verbs.publishing.asset_heads import AssetHead
    from sandbox.verbs.publishing.assets import AssetOffer

# Exit status of a rule's no, as in ``sandbox.cli.failures``.
REFUSED = 5
KINDS = click.Choice(["compute", "access"])
DRAFT = click.option("--draft", is_flag=True, help="Only print the DDO that would be signed.")
FOLDER = click.Path(file_okay=False, path_type=Path)


def offer_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """What a publisher says about an asset."""
    # Decorators pile up from the inside: reversed, the help lists them in this order.
    for option in reversed(
        (
            click.option("--name", "title", help="Name of the asset (default: the file's)."),
            click.option("--description", default="", help="What it is."),
            click.option("--author", default="", help="Who made it (default: the account's role)."),
            click.option("--price", default=0.0, show_default=True, help="OCEAN per order; 0 is free."),
            click.option("--pool", is_flag=True, help="Sell from a pool: --price is where it begins."),
            click.option("--liquidity", type=float, help="OCEAN put into the pool (default: 100 x price)."),
            click.option("--timeout", default=0, help="Seconds an order may be used; 0 for ever."),
        )
    ):
        function = option(function)
    return function


@group("c2d-box publish dataset patients.csv --price 2", name="publish")
def publish() -> None:
    """Publish a dataset or an algorithm: NFT, datatoken, price and encrypted DDO on the chain."""


@command(
    "c2d-box publish dataset patients.csv --name 'Patients' --price 2\n"
    "c2d-box publish dataset patients.csv --price 2 --pool --liquidity 500\n"
    "c2d-box publish dataset https://example.org/open.csv --type access",
    name="dataset",
)
@click.argument("source")
@click.option("--type", "kind", type=KINDS, default="compute", show_default=True, help="What may be bought.")
@click.option("--disclosure", metavar="FILE", help="Rules for results (YAML): see docs/disclosure.md.")
@offer_options
@DRAFT
def dataset_command(
    source: str,
    kind: str,
    title: str | None,
    description: str,
    author: str,
    price: float,
    draft: bool,
    disclosure: str | None,
    **terms: Any,
) -> None:
    """Publish a file (it goes into the box's private S3) or a URL as a dataset.

    Nobody may compute on it until you say who: c2d-box permit. --json: {did, name, type, nft, datatoken,
    price, …}.
    """
    from sandbox.verbs.publishing.assets import AssetOffer, publish_dataset
    from sandbox.verbs.publishing.disclosure_rules import read_rules

    # Read before anything is published: a mistake in the file should cost no transaction.
    terms["disclosure"] = read_rules(disclosure) if disclosure else None
    offer = AssetOffer(title or Path(source).name, description, author, price, services=(kind,), **terms)
    if draft:
        _show_draft("dataset", source, offer)
        return
    _show_published(perform_verb(publish_dataset(running_box(), acting_account("publisher"), source, offer)))


@command(
    "c2d-box publish algorithm train.py --image c2d.local/algo-python\n"
    "c2d-box publish algorithm run.js --image c2d.local/algo-node --entrypoint 'node $ALGO'",
    name="algorithm",
)
@click.argument("source")
@click.option(
    "--image",
    default=IMAGE,
    show_default=True,
    shell_complete=complete_image,
    help="See: c2d-box images list.",
)
@click.option("--entrypoint", default=ENTRYPOINT, show_default=True, help="Command line in the image.")
@click.option("--type", "kind", type=KINDS, default="access", show_default=True, help="What may be bought.")
@offer_options
@DRAFT
def algorithm_command(
    source: str,
    image: str,
    entrypoint: str,
    kind: str,
    title: str | None,
    description: str,
    author: str,
    price: float,
    draft: bool,
    **terms: Any,
) -> None:
    """Publish a script or binary as an algorithm that runs in an image the node has.

    --json: {did, name, type, nft, datatoken, price, publisher, pool}.
    """
    from sandbox.verbs.publishing.assets import AssetOffer, publish_algorithm

    offer = AssetOffer(title or Path(source).name, description, author, price, services=(kind,), **terms)
    if draft:
        _show_draft("algorithm", source, offer, image, entrypoint)
        return
    _show_published(
        perform_verb(
            publish_algorithm(running_box(), acting_account("publisher"), source, image, entrypoint, offer)
        )
    )


@command(
    "c2d-box assets\nc2d-box assets --type dataset --owner publisher --since 2d\n"
    "c2d-box assets --json | jq '.[].id'",
    name="assets",
)
@click.option("--type", "kind", type=click.Choice(["dataset", "algorithm"]), help="Only such assets.")
@click.option("--owner", metavar="ACCOUNT", default="", shell_complete=complete_owner, help="Whose.")
@click.option("--state", type=click.Choice(["active", "ended"]), help="In use, or at its end of life.")
@click.option("--text", default="", help="With that in id, name, description, author or tags.")
@click.option("--since", metavar="TIME", help="Published since then: 30m, 2h, 3d, or a date.")
@click.option("--last", "-n", "count", type=click.IntRange(1), help="At most so many, the newest.")
def assets(
    kind: str | None, owner: str, state: str | None, text: str, since: str | None, count: int | None
) -> None:
    """Published assets, newest first. Every command that takes one is content with its name, or with the
    beginning of its id.

    --json: list of DDOs as the metadata cache has them.
    """
    from sandbox.verbs.publishing.asset_list import AssetFilter, choose_assets
    from sandbox.verbs.since import parse_since

    wanted = AssetFilter(kind or "", owner, state or "", text, parse_since(since) if since else 0.0)
    found = choose_assets(running_box(), wanted)[:count]
    if not print_json([record for _, record in found]):
        _print_assets(found)


def _print_assets(found: Sequence[tuple[AssetHead, Mapping[str, Any]]]) -> None:
    from sandbox.identifier_match import short_ids
    from sandbox.verbs.accounts import account_name

    if is_wide():
        whole = [
            (a.did, a.type or "-", a.name or "-", a.owner, _price_text(ddo), time_text(a.published))
            for a, ddo in found
        ]
        print_table(["asset", "type", "name", "owner", "price", "published"], whole)
        return
    short = short_ids(asset.did for asset, _ in found)
    rows = [
        (
            short[asset.did],
            asset.type if asset.is_active else "ended",
            asset.name or "-",
            account_name(asset.owner) or "-",
            _price_text(ddo),
            age_text(asset.published),
        )
        for asset, ddo in found
    ]
    print_table(["asset", "type", "name", "owner", "price", "age"], rows, flexible=("name", "owner", "price"))


@command(
    "c2d-box permit did:op:DATASET did:op:ALGORITHM\n"
    "c2d-box permit --explain did:op:DATASET did:op:ALGORITHM\nc2d-box permit --explain did:op:DATASET raw",
    name="permit",
)
@click.argument("dataset", type=DATASET)
@click.argument("algorithm", type=ALGORITHM)
@click.option("--explain", is_flag=True, help="Change nothing: may it, and why? Exit status 5 for a no.")
def permit(dataset: str, algorithm: str, explain: bool) -> None:
    """Let one algorithm, exactly as it is now, compute on a dataset of yours.

    --explain prints every rule with its answer instead; ALGORITHM may then be `raw`, for code that nobody
    has published. --explain --json: {dataset, algorithm, allowed, code, reasons}.
    """
    if explain:
        _explain_permission(dataset, algorithm)
        return
    from sandbox.verbs.publishing.assets import permit_algorithm as verb

    perform_verb(verb(running_box(), acting_account("publisher"), dataset, algorithm))
    if not print_json({"dataset": dataset, "algorithm": algorithm, "permitted": True}):
        print_text(f"{algorithm} may compute on {dataset}")


@command("c2d-box revoke did:op:DATASET did:op:ALGORITHM", name="revoke")
@click.argument("dataset", type=DATASET)
@click.argument("algorithm", type=ALGORITHM)
def revoke(dataset: str, algorithm: str) -> None:
    """Take that permission back. Jobs that run already go on."""
    from sandbox.verbs.publishing.assets import revoke_algorithm as verb

    perform_verb(verb(running_box(), acting_account("publisher"), dataset, algorithm))
    if not print_json({"dataset": dataset, "algorithm": algorithm, "permitted": False}):
        print_text(f"{algorithm} may no longer compute on {dataset}")


@command("c2d-box download did:op:ASSET --to ./here", name="download")
@click.argument("did", type=ASSET)
@click.option("--to", "folder", type=FOLDER, default=Path(), help="Folder.")
@spending_options
def download(did: str, folder: Path, spending: SpendingLimits) -> None:
    """Order an asset of type access and download its files. --json: list of paths."""
    from sandbox.verbs.publishing.assets import download_asset as verb

    paths = perform_verb(verb(running_box(), acting_account("consumer"), did, folder, spending))
    if not print_json(paths):
        for path in paths:
            print_line(path)


def _explain_permission(dataset: str, algorithm: str) -> None:
    """Print the rules with their answers. Exit with ``REFUSED`` for a no, after the output: scripts read
    both.
    """
    from sandbox.verbs.publishing.permissions import explain_permission as verb

    answer = verb(running_box(), dataset, algorithm)
    if not print_json(answer):
        for line in answer.reasons:
            print_text(line)
    if not answer.allowed:
        raise click.exceptions.Exit(REFUSED)


def _show_draft(kind: str, source: str, offer: AssetOffer, image: str = "", entrypoint: str = "") -> None:
    """Print the DDO as it would be signed. Raises ``C2D-DDO-INVALID`` where it could not be published, after
    the draft has been printed."""
    from c2d_box.errors import UsageError
    from sandbox.verbs.publishing.ddo_preview import preview_ddo

    drawn = preview_ddo(the_box(), acting_account("publisher"), kind, source, offer, image, entrypoint)
    print_text(json.dumps(drawn.document, indent=2))
    # The draft is printed all the same, so that the mistake can be seen in its place.
    if drawn.problems:
        text = "; ".join(f"{path}: {problem}" for path, problem in drawn.problems.items())
        raise UsageError("C2D-DDO-INVALID", f"this could not be published: {text}", "correct it")


def _show_published(published: Any) -> None:
    """Print what was published; the hint goes to stderr, so that stdout stays data."""
    if print_json(published):
        return
    print_pairs(
        {"did": published.did, "name": published.name, "nft": published.nft, "datatoken": published.datatoken}
    )
    # The step that newcomers miss.
    if published.type == "dataset":
        hint = for_this_box("nobody may compute on it yet; next: c2d-box permit DATASET ALGORITHM")
        print(f"\n{hint}", file=sys.stderr)


def _price_text(ddo: Mapping[str, Any]) -> str:
    price = (ddo.get("stats") or {}).get("price") or {}
    value = price.get("value")
    return "free" if value in (0, "0", None) else f"{value} {price.get('tokenSymbol', '')}".strip()


for subcommand in (dataset_command, algorithm_command):
    publish.add_command(subcommand)
