"""What an image archive calls itself: the one reading of it that every driver shares."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from c2d_box.errors import UsageError
from sandbox.clusters.port import ClusterImage

NAME = "io.containerd.image.name"
SHORT_NAME = "org.opencontainers.image.ref.name"


@dataclass(frozen=True, slots=True)
class ArchivedImage:
    reference: str
    digest: str

    @property
    def by_digest(self) -> str:
        """``name@sha256:…`` for ``name:tag``."""
        head, _, last = self.reference.rpartition("/")
        return f"{head}/{last.partition(':')[0]}@{self.digest}" if head else f"{last}@{self.digest}"


def read_archive(archive: Path) -> ArchivedImage:
    """Name and manifest digest of the one image in an OCI archive."""
    try:
        with tarfile.open(archive) as tar:
            member = tar.extractfile("index.json")
            if member is None:
                raise KeyError("index.json")
            manifests: list[dict[str, Any]] = json.load(member)["manifests"]
    except FileNotFoundError as cause:
        raise UsageError("C2D-NO-SUCH-FILE", f"There is no file {archive}.", "Check the path.") from cause
    except (KeyError, ValueError, tarfile.TarError) as cause:
        raise _unusable(archive, "it is not an OCI image archive") from cause
    if len(manifests) != 1:
        raise _unusable(archive, f"it holds {len(manifests)} images, not one")
    notes = manifests[0].get("annotations", {})
    reference = notes.get(NAME) or notes.get(SHORT_NAME)
    if not reference or "/" not in reference:
        raise _unusable(archive, f"its index names no image (annotation {NAME})")
    return ArchivedImage(reference, manifests[0]["digest"])


def _unusable(archive: Path, why: str) -> UsageError:
    return UsageError(
        "C2D-IMAGE-ARCHIVE",
        f"{archive} cannot be imported: {why}.",
        "Save the image as an OCI archive of one image with its full name, e.g. example.org/name:tag.",
    )


def listed(lines: Iterable[str]) -> list[ClusterImage]:
    """The images in what ``ctr images list`` prints."""
    found = []
    for line in list(lines)[1:]:
        fields = line.split()
        found.append(ClusterImage(fields[0], fields[2], _bytes(fields[3], fields[4])))
    return found


def _bytes(number: str, unit: str) -> int:
    scale = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
    try:
        return int(float(number) * scale.get(unit, 1))
    except ValueError:
        return 0
