"""Lists the algorithm images on the node, imports a user's own, and refuses a missing one before payment."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path

from c2d_box.assets import command_line
from c2d_box.errors import Refused, UsageError
from c2d_box.files import replace_file
from c2d_box.workflow import names
from sandbox.box import Box
from sandbox.bundle.parts.image_recipes import REGISTRY
from sandbox.identifier_match import Candidate, choose_candidate
from sandbox.progress import Progress, run_step

_SHELLS = "shells.json"
"""File in the home: digest → whether the image has a shell. The node cannot be asked for that."""
INFRASTRUCTURE = {"runtime", "postgres", "kubo", "s3", "pause", "node-image"}
"""Parts of the box itself, which no algorithm may name although they are on the node."""


@dataclass(frozen=True, slots=True)
class ContainerImage:
    """The image as the ``container`` section of an algorithm's DDO names it."""

    image: str
    tag: str
    checksum: str
    """Manifest digest, ``sha256:…``: what a published algorithm names and the node runs."""
    size: int = 0
    """Bytes; 0 where that is not known."""
    shell: bool | None = None
    """True where the image has ``/bin/sh``; None where that is not known."""


def node_images(box: Box) -> list[ContainerImage]:
    """Return the images an algorithm may name: all on the node but the box's own parts."""
    found = {}
    shells = _known_shells(box)
    for image in box.cluster.list_images():
        name, tag = split_reference(image.reference)
        # containerd lists an image under its name, its name by digest and its id (sha256:…); only the first
        # counts.
        if tag and name.rpartition("/")[2] not in INFRASTRUCTURE and not name.startswith("sha256"):
            shell = shells.get(image.digest)
            found[(name, tag)] = ContainerImage(name, tag, image.digest, image.size, shell)
    return [found[key] for key in sorted(found)]


def import_image(box: Box, archive: Path) -> Progress[list[ContainerImage]]:
    """Bring an OCI or ``docker save`` archive to the node; return what the DDO must say about it.

    Docker's own format has no digest; it is written anew as an OCI archive, always with the same one. A
    foreign architecture is refused before anything is loaded.
    """
    from sandbox.bundle.oci import archive_inspection, docker_save
    from sandbox.bundle.oci.shell_probe import has_shell
    from sandbox.bundle.parts.recipe import machine_architecture

    if not archive.is_file():
        raise UsageError(
            "C2D-IMAGE-NO-FILE", f"{archive} is not a file", "docker save IMAGE -o FILE makes one"
        )
    inspected = yield from run_step(
        "image.inspect",
        f"reading {archive.name}",
        lambda: archive_inspection.inspect_archive(archive, machine_architecture()),
    )
    with tempfile.TemporaryDirectory(prefix="c2d-image-") as scratch:
        source = archive
        if inspected.docker_save:
            source = Path(scratch, "image.tar")
            work = Path(scratch, "layers")
            work.mkdir()
            yield from run_step(
                "image.convert",
                "writing it as an OCI archive",
                lambda: docker_save.convert_to_oci(archive, source, work, machine_architecture()),
            )
        shell = has_shell(archive_inspection.inspect_archive(source, machine_architecture()))
        # Inside the block: the converted archive is gone after it.
        digest = yield from box.cluster.load_image(source)
    _note_shell(box, digest, shell)
    name, tag = split_reference(inspected.name)
    return [ContainerImage(name, tag or "latest", digest, archive.stat().st_size, shell)]


def find_image(box: Box, reference: str) -> ContainerImage:
    """Return the image called ``reference``: name, name:tag, name@digest, or the beginning of a digest.

    Raises ``C2D-IMAGE-UNKNOWN`` for one that the node does not have, ``C2D-ID-AMBIGUOUS`` for a name with
    several tags and no ``latest``. The bundle's own name of an image means that image in the registry too,
    where nodes take it from there.
    """
    available = node_images(box)
    if (registry := box.cluster.registry) and reference.startswith(f"{REGISTRY}/"):
        # There it was pushed under the registry's name, and scripts name images as the bundle does.
        reference = registry + reference.removeprefix(REGISTRY)
    named = [image for image in available if reference in _image_names(image)]
    # A name without a tag means latest, as everywhere with images.
    named = [image for image in named if image.tag == "latest"] or named
    # Tags of one digest are one image: any of them will do.
    if len({image.checksum for image in named}) == 1:
        return named[0]
    candidates = [Candidate(image.checksum, _image_names(image)) for image in named or available]
    chosen = choose_candidate("image", reference, candidates)
    if chosen is None:
        raise unknown_image(reference, available)
    return next(image for image in available if image.checksum == chosen.id)


def _image_names(image: ContainerImage) -> tuple[str, ...]:
    """Return what an image may be called; without its registry too, as users type ``algo-python``."""
    tagged = f"{image.image}:{image.tag}"
    short = (image.image.rpartition("/")[2], tagged.rpartition("/")[2])
    return (tagged, image.image, f"{image.image}@{image.checksum}", *short)


def demand_image(box: Box, image: str, checksum: str, entrypoint: str) -> None:
    """Refuse a job whose image is not on the node or cannot run its entrypoint, before anything is paid."""
    available = node_images(box)
    # The digest decides: two images may have one name in turn, and the DDO means one of them.
    known = [entry for entry in available if entry.checksum == checksum]
    if not known:
        raise unknown_image(f"{image}@{checksum}", available)
    demand_entrypoint(known[0], entrypoint)


def demand_entrypoint(image: ContainerImage, entrypoint: str) -> None:
    """Refuse an entrypoint that only a shell can run, for an image that is known to have none."""
    if image.shell is False:
        # Raises for words that only a shell understands, as the warden would at the start of a paid job.
        command_line.split_words(entrypoint.replace("$ALGO", names.ALGORITHM_FILE))


def _known_shells(box: Box) -> dict[str, bool]:
    """Return by digest whether an image has a shell, as seen when it was imported."""
    try:
        found = json.loads((box.home.path / _SHELLS).read_text())
    except (OSError, ValueError):
        return {}
    return {str(digest): bool(shell) for digest, shell in found.items()} if isinstance(found, dict) else {}


def _note_shell(box: Box, digest: str, shell: bool | None) -> None:
    """Remember whether an image has a shell; nothing where that could not be found out."""
    if shell is None:
        return
    replace_file(box.home.path / _SHELLS, json.dumps({**_known_shells(box), digest: shell}, indent=1))


def unknown_image(reference: str, available: list[ContainerImage]) -> Refused:
    """Return the refusal for an image that the node does not have, with those that it has."""
    known = ", ".join(f"{image.image}:{image.tag}" for image in available) or "none"
    return Refused(
        "C2D-IMAGE-UNKNOWN",
        f"the box has no image {reference}; nothing was ordered or paid",
        f"c2d-box images import FILE brings it; there are: {known}",
    )


def split_reference(reference: str) -> tuple[str, str]:
    """Return name and tag; no tag for references by digest.

    A colon may also belong to the registry's port: then a slash follows it.
    """
    if "@" in reference:
        return reference.partition("@")[0], ""
    name, colon, tag = reference.rpartition(":")
    return (name, tag) if colon and "/" not in tag else (reference, "latest")
