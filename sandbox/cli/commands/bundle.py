"""bundle build, list, verify."""

from __future__ import annotations

import click

from sandbox.cli.declare import command, group
from sandbox.cli.narration import perform
from sandbox.cli.opening import agreed
from sandbox.cli.output import document, say, table
from sandbox.cli.settings import current


@group("c2d-box bundle build", name="bundle")
def bundle() -> None:
    """What a box is made of: binaries and images, built from package registries into a cache."""


@command("c2d-box bundle build --yes\nc2d-box bundle build runtime", name="build")
@click.argument("parts", nargs=-1)
def build(parts: tuple[str, ...]) -> None:
    """Build what is missing or out of date (or only PARTS). An interrupted build goes on where it was.

    --json: list of {name, kind, version, state, key, size, seconds, digest, folder}.
    """
    from sandbox.bundle import build as verb
    from sandbox.bundle import list_parts

    perform(verb(parts or None, yes=current().yes, confirm=agreed))
    if not document(list_parts(parts or None)):
        say("the bundle is complete" if not parts else "built")


@command("c2d-box bundle list --json", name="list")
def list_bundle() -> None:
    """The parts with version, state and size. --json: list of {name, kind, version, state, key, size, …}."""
    from sandbox.bundle import list_parts

    parts = list_parts()
    if not document(parts):
        rows = [(p.name, p.kind, p.version, p.state, p.size / 1e6, p.seconds) for p in parts]
        table(["part", "kind", "version", "state", "MB", "built in s"], rows)


@command("c2d-box bundle verify", name="verify")
def verify() -> None:
    """Hash every file in the cache and compare. --json: list of parts as in `bundle list`."""
    from sandbox.bundle import verify as verb

    report = perform(verb())
    if not document(report):
        say("every file is what it was when it was built")


for subcommand in (build, list_bundle, verify):
    bundle.add_command(subcommand)
