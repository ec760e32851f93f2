"""images list, images import.

A DDO names an image with its digest, and the node runs exactly that. So an image is brought to the node
first, and its digest copied from the list into what is published.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sandbox.cli.declare import command, group
from sandbox.cli.narration import perform_verb
from sandbox.cli.opening import running_box
from sandbox.cli.output import is_wide, print_json, print_table

if TYPE_CHECKING:
    from sandbox.install.images import ContainerImage

# As Docker shows them.
DIGEST_SHOWN = 12


@group("c2d-box images list", name="images")
def images() -> None:
    """Images that algorithms can run in."""


@command("c2d-box images list", name="list")
def list_images() -> None:
    """Images on the node that an algorithm's DDO may name. --json: list of {image, tag, checksum, size}."""
    from sandbox.install.images import node_images as verb

    _show_images(verb(running_box()))


@command("docker save my/algorithm:1 -o mine.tar\nc2d-box images import mine.tar", name="import")
@click.argument("file", type=click.Path(path_type=Path))
def import_image(file: Path) -> None:
    """Bring an image of your own: an OCI or `docker save` archive. Prints the digest that belongs in the DDO.

    --json: list of {image, tag, checksum, size}.
    """
    from sandbox.install.images import import_image as verb

    box = running_box()
    found = perform_verb(verb(box, file))
    _show_images(found)
    # The first image of the archive stands for all in the hint.
    if found:
        print(
            f"\nuse it: {box.command_line(f'publish algorithm SCRIPT --image {found[0].image}')}",
            file=sys.stderr,
        )


def _show_images(found: Sequence[ContainerImage]) -> None:
    from sandbox.identifier_match import short_ids

    if print_json(found):
        return
    short = short_ids((image.checksum for image in found), DIGEST_SHOWN)
    rows = [(i.image, i.tag, i.checksum if is_wide() else short[i.checksum], i.size / 1e6) for i in found]
    print_table(["image", "tag", "digest", "MB"], rows, flexible=("image", "tag"))


images.add_command(list_images)
images.add_command(import_image)
