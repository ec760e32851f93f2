"""Algorithm images on the node: what is there, bringing one's own, and refusing one that is not there
before anyone pays.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from c2d_box.errors import Refused, UsageError
from sandbox.box import Box
from sandbox.progress import Progress, step

INFRASTRUCTURE = {"runtime", "postgres", "kubo", "s3", "pause", "node-image"}


@dataclass(frozen=True, slots=True)
class ContainerImage:
    """What belongs into the ``container`` section of an algorithm's DDO."""

    image: str
    tag: str
    checksum: str
    size: int = 0


def images(box: Box) -> list[ContainerImage]:
    """Images an algorithm may name: all on the node but the box's own parts."""
    found = {}
    for image in box.cluster.images():
        name, tag = split_reference(image.reference)
        if tag and name.rpartition("/")[2] not in INFRASTRUCTURE and not name.startswith("sha256"):
            found[(name, tag)] = ContainerImage(name, tag, image.digest, image.size)
    return [found[key] for key in sorted(found)]


def import_image(box: Box, archive: Path) -> Progress[list[ContainerImage]]:
    """Bring an OCI or ``docker save`` archive to the node; returns what the DDO must say about it.

    Docker's own format has no digest; it is written anew as an OCI archive, always with the same one.
    """
    from sandbox.bundle import dockersave, oci
    from sandbox.bundle.recipe import architecture

    if not archive.is_file():
        raise UsageError(
            "C2D-IMAGE-NO-FILE", f"{archive} is not a file", "docker save IMAGE -o FILE makes one"
        )
    inspected = yield from step(
        "image.inspect", f"reading {archive.name}", lambda: oci.inspect(archive, architecture())
    )
    with tempfile.TemporaryDirectory(prefix="c2d-image-") as scratch:
        source = archive
        if inspected.docker_save:
            source = Path(scratch, "image.tar")
            work = Path(scratch, "layers")
            work.mkdir()
            yield from step(
                "image.convert",
                "writing it as an OCI archive",
                lambda: dockersave.convert(archive, source, work, architecture()),
            )
        digest = yield from box.cluster.load_image(source)
    name, tag = split_reference(inspected.name)
    return [ContainerImage(name, tag or "latest", digest, archive.stat().st_size)]


def find_image(box: Box, reference: str) -> ContainerImage:
    """The image called ``reference`` (name, name:tag or name@digest); refuses one the node does not have."""
    available = images(box)
    for image in available:
        names = (image.image, f"{image.image}:{image.tag}", f"{image.image}@{image.checksum}")
        if reference in names or reference in (names[0].rpartition("/")[2], names[1].rpartition("/")[2]):
            return image
    raise unknown_image(reference, available)


def demand_image(box: Box, image: str, checksum: str) -> None:
    """Refuse a job whose image is not on the node, before anything is paid."""
    available = images(box)
    if not any(known.checksum == checksum for known in available):
        raise unknown_image(f"{image}@{checksum}", available)


def unknown_image(reference: str, available: list[ContainerImage]) -> Refused:
    known = ", ".join(f"{image.image}:{image.tag}" for image in available) or "none"
    return Refused(
        "C2D-IMAGE-UNKNOWN",
        f"the box has no image {reference}; nothing was ordered or paid",
        f"c2d-box images import FILE brings it; there are: {known}",
    )


def split_reference(reference: str) -> tuple[str, str]:
    """Name and tag; no tag for references by digest."""
    if "@" in reference:
        return reference.partition("@")[0], ""
    name, colon, tag = reference.rpartition(":")
    return (name, tag) if colon and "/" not in tag else (reference, "latest")
