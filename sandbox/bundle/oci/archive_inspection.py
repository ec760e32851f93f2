"""Reads image archives that users bring, in OCI's format or in Docker's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from c2d_box.errors import UsageError
from sandbox.bundle.oci import docker_save
from sandbox.bundle.oci.archive_reader import ArchiveReader
from sandbox.bundle.oci.image_archives import DOCKER_INDEX, INDEX, NAME, ArchivedImage, check_architecture


def inspect_archive(path: Path, architecture: str) -> ArchivedImage:
    """Read an archive's image: its name, digest and configuration; every blob's hash is checked.

    Of an image for several architectures the one for ``architecture`` is read. Raises a coded error where the
    archive is not an image, holds several, or none for this machine.
    """
    with ArchiveReader(path) as archive, archive.documents_as_expected():
        # Newer Docker engines write both descriptions into one archive; the OCI one has the real digest.
        if "index.json" not in archive:
            return docker_save.inspect_docker_save(archive, architecture)
        name, manifest_descriptor = _choose_manifest(archive, "index.json", architecture)
        manifest = archive.parse_document(archive.read_blob(manifest_descriptor), "the manifest")
        config = archive.parse_document(archive.read_blob(manifest["config"]), "the configuration")
        check_architecture(archive, config, architecture)
        # Layers too: a damaged one would be noticed by the cluster only, after the asset is published.
        for layer in manifest["layers"]:
            if "sha256:" + archive.member_sha256(archive.blob_name(layer)) != layer["digest"]:
                raise archive.broken_archive(f"the layer {layer['digest']} has another hash")
        layers = tuple(layer["digest"] for layer in manifest["layers"])
        return ArchivedImage(
            path,
            name,
            manifest_descriptor["digest"],
            str(config["architecture"]),
            config.get("config") or {},
            layers,
        )


def _choose_manifest(archive: ArchiveReader, name: str, architecture: str) -> tuple[str, dict[str, Any]]:
    """Return the one manifest of an index that is for this machine, and the name the archive gives it."""
    index = archive.read_json(name)
    entries = [entry for entry in index.get("manifests", []) if not _is_attestation(entry)]
    # One image for several architectures has one name; several names are several images.
    names = {entry.get("annotations", {}).get(NAME, "") for entry in entries}
    if len(names) > 1:
        raise UsageError(
            "C2D-IMAGE-AMBIGUOUS",
            f"{archive.path} holds several images: {', '.join(sorted(names))}.",
            "Save one image per file.",
        )
    chosen = _for_architecture(archive, entries, architecture)
    image_name = (chosen.get("annotations") or {}).get(NAME, "") or next(iter(names), "")
    # Archives of buildx have an index inside the index: the outer one has the name, the inner one the
    # platforms.
    if chosen.get("mediaType") in (INDEX, DOCKER_INDEX):
        inner = archive.parse_document(archive.read_blob(chosen), "the inner index")
        candidates = [entry for entry in inner.get("manifests", []) if not _is_attestation(entry)]
        chosen = _for_architecture(archive, candidates, architecture)
    return image_name, chosen


def _for_architecture(archive: ArchiveReader, entries: list[Any], architecture: str) -> dict[str, Any]:
    """Return the entry for ``architecture``; raise where there is none."""
    if not entries:
        raise archive.broken_archive("its index lists no image")
    # A single entry may have no platform; the configuration is checked afterwards in any case.
    if len(entries) == 1:
        only: dict[str, Any] = entries[0]
        return only
    for entry in entries:
        if entry.get("platform", {}).get("architecture") == architecture:
            found: dict[str, Any] = entry
            return found
    kinds = ", ".join(sorted({str(entry.get("platform", {}).get("architecture")) for entry in entries}))
    raise UsageError(
        "C2D-IMAGE-ARCHITECTURE",
        f"The image in {archive.path} is for {kinds}; this machine is {architecture}.",
        f"Build it with `docker build --platform linux/{architecture}`.",
    )


def _is_attestation(entry: Any) -> bool:
    """Return whether an entry is a statement about the build, not an image: buildx marks these with the
    platform ``unknown/unknown``.
    """
    platform = entry.get("platform") or {}
    return platform.get("architecture") == "unknown" or platform.get("os") == "unknown"
