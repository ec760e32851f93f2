"""bundle build, list, verify, save, load, serve, diff, key.

These work on the cache of this machine and need no box, so none of them opens one.
"""

from __future__ import annotations

from pathlib import Path

import click

from sandbox.cli.declare import command, group
from sandbox.cli.narration import perform_verb
from sandbox.cli.opening import ask_agreement
from sandbox.cli.output import print_json, print_table, print_text
from sandbox.cli.settings import current


@group("c2d-box bundle build", name="bundle")
def bundle() -> None:
    """What a box is made of: binaries and images, built from package registries into a cache."""


@command("c2d-box bundle build --yes\nc2d-box bundle build runtime", name="build")
@click.argument("parts", nargs=-1)
@click.option("--node-image", is_flag=True, help="Also kind's node image, where none can be pulled.")
@click.option(
    "--in-container/--on-host", default=None, help="Build in a Debian container (default: where no apt is)."
)
@click.option(
    "--base",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A Debian root file system for that container, instead of the image that is pulled.",
)
def build_bundle(
    parts: tuple[str, ...], node_image: bool, in_container: bool | None, base: Path | None
) -> None:
    """Build what is missing or out of date (or only PARTS). An interrupted build goes on where it was.

    --json: list of {name, kind, version, state, key, size, seconds, digest, folder}.
    """
    from sandbox.bundle import build_bundle as verb
    from sandbox.bundle import list_parts

    # A root file system makes sense for a container only.
    container = True if base else in_container
    # kind's node image is no usual part: most boxes pull it, or need none.
    if node_image:
        perform_verb(verb(["node-image", "kind"], yes=current().yes, confirm=ask_agreement))
    if parts or not node_image:
        perform_verb(
            verb(parts or None, yes=current().yes, confirm=ask_agreement, container=container, base=base)
        )
    if not print_json(list_parts(parts or None)):
        # Single parts may be built while others are missing, so nothing is said of the whole then.
        print_text("the bundle is complete" if not parts else "built")


@command("c2d-box bundle list --json", name="list")
def list_bundle() -> None:
    """The parts with version, state and size. --json: list of {name, kind, version, state, key, size, …}."""
    from sandbox.bundle import list_parts

    parts = list_parts()
    if not print_json(parts):
        rows = [(p.name, p.kind, p.version, p.state, p.size / 1e6, p.seconds) for p in parts]
        print_table(["part", "kind", "version", "state", "MB", "built in s"], rows)


@command("c2d-box bundle verify", name="verify")
def verify_bundle() -> None:
    """Hash every file in the cache and compare. --json: list of parts as in `bundle list`."""
    from sandbox.bundle import verify_parts as verb

    report = perform_verb(verb())
    if not print_json(report):
        print_text("every file is what it was when it was built")


FILE = click.argument("file", type=click.Path(dir_okay=False, path_type=Path))


@command("c2d-box bundle save c2d-box.bundle\nc2d-box bundle save --part node-image box.bundle", name="save")
@FILE
@click.option("--part", "parts", multiple=True, help="Only this part (repeat); default: all the usual ones.")
@click.option("--no-wheels", is_flag=True, help="Leave out c2d-box itself and the packages it imports.")
def save_bundle(file: Path, parts: tuple[str, ...], no_wheels: bool) -> None:
    """Write the bundle to one FILE; `python3 FILE` installs it elsewhere, without network or compiler.

    --json: {file, bytes, sha256, architecture, wheels, parts: [{name, version, bytes}]}.
    """
    import tempfile

    from sandbox.bundle.transfer.export import gather_wheels
    from sandbox.bundle.transfer.export import save_bundle as verb

    # The wheels are copied into the file; they are not needed afterwards.
    with tempfile.TemporaryDirectory(prefix="c2d-wheels-") as scratch:
        wheels = None if no_wheels else perform_verb(gather_wheels(Path(scratch)))
        report = perform_verb(verb(file, parts or None, wheels=wheels))
    if print_json(report):
        return
    print_table(["part", "version", "MB"], [(p.name, p.version, p.bytes / 1e6) for p in report.parts])
    print_text(f"{report.file}: {report.bytes / 1e6:.0f} MB, {report.wheels} wheels, sha256 {report.sha256}")


@command("c2d-box bundle load c2d-box.bundle\nc2d-box bundle load http://teacher:8099/bundle", name="load")
@click.argument("source", metavar="FILE|URL")
def load_bundle(source: str) -> None:
    """Bring a bundle file into the cache. Checked before anything changes; goes on where it was interrupted.

    --json: {source, parts, already, bytes}.
    """
    from sandbox.bundle.transfer.load import load_bundle as verb

    report = perform_verb(verb(source))
    if not print_json(report):
        print_text(f"{len(report.parts)} parts came in, {len(report.already)} were there already")


@command("c2d-box bundle diff c2d-box.bundle", name="diff")
@click.argument("source", metavar="FILE|URL")
def diff_bundle(source: str) -> None:
    """What a bundle file holds beside what is here. --json: list of {name, state, here, there, bytes}."""
    from sandbox.bundle.transfer.load import compare_bundles as verb

    found = verb(source)
    if not print_json(found):
        rows = [(d.name, d.state, d.here, d.there, d.bytes / 1e6) for d in found]
        print_table(["part", "", "here", "in the file", "MB to load"], rows)


@command("c2d-box bundle serve c2d-box.bundle --listen 0.0.0.0:8099", name="serve")
@FILE
@click.option("--listen", default="127.0.0.1:8099", show_default=True, metavar="ADDRESS:PORT")
def serve_bundle(file: Path, listen: str) -> None:
    """Serve a bundle file to a classroom until Ctrl-C: others run `c2d-box bundle load URL`."""
    from sandbox.bundle.transfer.serve import serve_file as verb

    verb(file, listen, print_text)


@command("c2d-box bundle key", name="key")
def print_cache_key() -> None:
    """A line that changes when any part of the bundle would: the cache key for a CI system."""
    from sandbox.bundle.build import cache_key

    # Plain text, as CI systems take it.
    value = cache_key()
    if not print_json({"key": value}):
        print(value)


for subcommand in (
    build_bundle,
    list_bundle,
    verify_bundle,
    save_bundle,
    load_bundle,
    diff_bundle,
    serve_bundle,
    print_cache_key,
):
    bundle.add_command(subcommand)
