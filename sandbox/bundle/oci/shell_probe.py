"""Tells whether an image has ``/bin/sh``: without one, an entrypoint that uses the shell can never run."""

from __future__ import annotations

import tarfile
from pathlib import Path

from sandbox.bundle.oci.archive_reader import ArchiveReader
from sandbox.bundle.oci.image_archives import ArchivedImage

# Targets of /bin on a system whose /bin is a link to /usr/bin, as tar files write them.
_LINKED = ("usr/bin", "/usr/bin", "./usr/bin")
_OF_INTEREST = ("bin", "bin/sh", "usr", "usr/bin", "usr/bin/sh")


def has_shell(image: ArchivedImage) -> bool | None:
    """Return True or False by the names in the layers; None where a layer cannot be read here (zstd)."""
    # Name of each path of interest, and the target where it is a link.
    found: dict[str, str] = {}
    try:
        with ArchiveReader(image.archive) as archive:
            for digest in image.layers:
                _apply_layer(archive, f"blobs/sha256/{digest.partition(':')[2]}", found)
    except (tarfile.TarError, OSError, EOFError):
        return None
    return "bin/sh" in found or (found.get("bin") in _LINKED and "usr/bin/sh" in found)


def _apply_layer(archive: ArchiveReader, blob: str, found: dict[str, str]) -> None:
    """Apply one layer on top of the others: the names it adds, and those it hides (``.wh.NAME``)."""
    for member in archive.layer_members(blob):
        name = member.name.removeprefix("./").strip("/")
        folder, _, last = name.rpartition("/")
        # Whiteouts of the OCI image specification: the first hides all that lower layers have in a folder,
        # the second one name.
        if last == ".wh..wh..opq":
            _hide_path(found, folder, itself=False)
        elif last.startswith(".wh."):
            _hide_path(found, str(Path(folder, last[4:])), itself=True)
        elif name in _OF_INTEREST:
            found[name] = member.linkname if member.issym() else ""


def _hide_path(found: dict[str, str], path: str, *, itself: bool) -> None:
    """Forget the paths below ``path``, and the path itself where ``itself`` is set."""
    for name in list(found):
        if name.startswith(f"{path}/") or (itself and name == path):
            del found[name]
