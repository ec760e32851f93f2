"""Reads the name and digest of an image archive; every driver uses this module, so all read them alike."""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from c2d_box.errors import UsageError
from c2d_box.strict_json import DEFAULT, parse_object
from sandbox.clusters.port import ClusterImage

NAME = "io.containerd.image.name"
"""Annotation with an image's full name (written by ``ctr export``, Docker and BuildKit), and the OCI one,
which some tools fill with the tag alone.
"""
SHORT_NAME = "org.opencontainers.image.ref.name"
_DIGEST = re.compile(r"sha256:[0-9a-f]{1,64}")


@dataclass(frozen=True, slots=True)
class ArchiveName:
    """The name and manifest digest of the image in an archive."""

    reference: str
    digest: str

    @property
    def by_digest(self) -> str:
        """Return ``name@sha256:…`` for ``name:tag``.

        The tag is cut from the last part only: a colon before it belongs to the registry's port.
        """
        head, _, last = self.reference.rpartition("/")
        return f"{head}/{last.partition(':')[0]}@{self.digest}" if head else f"{last}@{self.digest}"


def read_archive(archive: Path) -> ArchiveName:
    """Return name and manifest digest of the one image in an OCI archive.

    Raise ``C2D-IMAGE-ARCHIVE`` for anything else. The digest is the index's own claim here; containerd
    compares it with the content when it imports.
    """
    try:
        with tarfile.open(archive) as tar:
            member = tar.extractfile("index.json")
            if member is None:
                raise KeyError("index.json")
            # One byte more than the parser takes: a larger file is refused there, not cut to something that
            # parses.
            index = parse_object(member.read(DEFAULT.size_bytes + 1))
    except FileNotFoundError as cause:
        raise missing_archive(archive) from cause
    except (KeyError, ValueError, tarfile.TarError) as cause:
        raise _unusable_archive(archive, "it is not an OCI image archive") from cause
    manifests = index.get("manifests")
    # The archive is the user's, perhaps a stranger's: no shape is taken for granted.
    if not isinstance(manifests, list) or not all(isinstance(entry, dict) for entry in manifests):
        raise _unusable_archive(archive, "its index lists no images")
    if len(manifests) != 1:
        raise _unusable_archive(archive, f"it holds {len(manifests)} images, not one")
    # The full name first; the other annotation is read for archives of tools that write only that one.
    notes: Any = manifests[0].get("annotations")
    reference = (notes.get(NAME) or notes.get(SHORT_NAME)) if isinstance(notes, dict) else None
    # The kubelet reads a name without a registry as docker.io/library/…, and would not find this image.
    if not isinstance(reference, str) or "/" not in reference:
        raise _unusable_archive(archive, f"its index names no image (annotation {NAME})")
    digest = manifests[0].get("digest")
    if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
        raise _unusable_archive(archive, "its index gives the image no digest")
    return ArchiveName(reference, digest)


def missing_archive(archive: Path) -> UsageError:
    """Return the error for an archive that is not there."""
    return UsageError("C2D-NO-SUCH-FILE", f"There is no file {archive}.", "Check the path.")


def _unusable_archive(archive: Path, why: str) -> UsageError:
    return UsageError(
        "C2D-IMAGE-ARCHIVE",
        f"{archive} cannot be imported: {why}.",
        "Save the image as an OCI archive of one image with its full name, e.g. example.org/name:tag.",
    )


PINNED = "io.cri-containerd.pinned=pinned"
"""containerd's label for an image that the kubelet never removes. A box's images cannot be pulled again from
anywhere: without the label a disk that is full for two minutes deletes them, those of a user for good.
"""


def parse_image_list(lines: Iterable[str]) -> list[ClusterImage]:
    """Return the images in what ``ctr images list`` prints.

    Columns: reference, type, digest, size with its unit, platforms, labels. The first line is the head.
    """
    found = []
    for line in list(lines)[1:]:
        fields = line.split()
        # The label is searched in the whole line: labels are one field, in no fixed order.
        found.append(ClusterImage(fields[0], fields[2], _size_bytes(fields[3], fields[4]), PINNED in line))
    return found


def unpinned_references(lines: Iterable[str]) -> list[str]:
    """Return the references, in what ``ctr images list`` prints, that the kubelet may remove."""
    return [line.split()[0] for line in list(lines)[1:] if line.strip() and PINNED not in line]


def _size_bytes(number: str, unit: str) -> int:
    """Return bytes of a size such as ``12.3 MiB``; 0 for what is no number, as sizes are only shown."""
    # ctr's own units.
    scale = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
    try:
        return int(float(number) * scale.get(unit, 1))
    except ValueError:
        return 0
