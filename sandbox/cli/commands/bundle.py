"""bundle build, list, verify."""

from __future__ import annotations

from sandbox.cli.declare import command, group
from sandbox.cli.narration import perform
from sandbox.cli.output import document, say, table


@group("c2d-box bundle build", name="bundle")
def bundle() -> None:
    """What a box is made of: binaries and images, built from package registries into a cache."""


@command("c2d-box bundle build --yes", name="build")
def build() -> None:
    """Build what is missing or out of date. An interrupted build goes on where it was."""
    from sandbox.bundle import build as verb

    perform(verb())
    if not document({"built": True}):
        say("the bundle is complete")


@command("c2d-box bundle list --json", name="list")
def list_parts() -> None:
    """The parts with version, size and digest. --json: list of objects."""
    from sandbox.bundle import Bundle

    parts = Bundle.open().parts()
    if not document(parts):
        table(["part", "kind", "version", "size"], [(p.name, p.kind, p.version, p.size) for p in parts])


@command("c2d-box bundle verify", name="verify")
def verify() -> None:
    """Compare every part in the cache with the digest it was stored under."""
    from sandbox.bundle import verify as verb

    report = perform(verb())
    if not document(report):
        say("every part is what it was when it was built")


bundle.add_command(build)
bundle.add_command(list_parts)
bundle.add_command(verify)
