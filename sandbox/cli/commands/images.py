"""images list, images import.

A DDO names an image with its digest, and the node runs exactly that. So an image is brought to the node
first, and its digest copied from the list into what is published.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from sandbox.cli.declare import command, group
from sandbox.cli.narration import perform_verb
from sandbox.cli.opening import the_box
from sandbox.cli.output import print_json, print_table


@group("c2d-box images list", name="images")
def images() -> None:
    """Images that algorithms can run in."""


@command("c2d-box images list", name="list")
def list_images() -> None:
    """Images on the node that an algorithm's DDO may name. --json: list of {image, tag, checksum, size}."""
    from sandbox.install.images import node_images as verb

    _show_images(verb(the_box()))


@command("docker save my/algorithm:1 -o mine.tar\nc2d-box images import mine.tar", name="import")
@click.argument("file", type=click.Path(path_type=Path))
def import_image(file: Path) -> None:
    """Bring an image of your own: an OCI or `docker save` archive. Prints the digest that belongs in the DDO.

    --json: list of {image, tag, checksum, size}.
    """
    from sandbox.install.images import import_image as verb

    box = the_box()
    found = perform_verb(verb(box, file))
    _show_images(found)
    # The first image of the archive stands for all in the hint.
    if found:
        print(
            f"\nuse it: {box.command_line(f'publish algorithm SCRIPT --image {found[0].image}')}",
            file=sys.stderr,
        )


def _show_images(found: list) -> None:  # type: ignore[type-arg]
    """Print images with their digests, in the form in which a DDO has them."""
    if not print_json(found):
        print_table(
            ["image", "tag", "checksum", "MB"], [(i.image, i.tag, i.checksum, i.size / 1e6) for i in found]
        )


images.add_command(list_images)
images.add_command(import_image)
