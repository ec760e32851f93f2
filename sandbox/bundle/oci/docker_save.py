"""Reads archives in Docker's own format, which has no manifest and so no digest, and makes a manifest.

The manifest made here follows from the archive's configuration and layers alone, so importing the same image
twice, on two machines, gives the same digest: the one that belongs in the DDO. It is not the digest of a
registry's copy of the image, whose layers are compressed.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from c2d_box.errors import UsageError
from sandbox.bundle.oci import image_archives
from sandbox.bundle.oci.archive_reader import ArchiveReader

_COMPRESSED = {b"\x1f\x8b": "+gzip", b"\x28\xb5": "+zstd"}
"""First bytes of gzip and zstd, and the suffix of the layer's media type."""


def inspect_docker_save(archive: ArchiveReader, architecture: str) -> image_archives.ArchivedImage:
    """Return what the archive holds, with the digest that :func:`convert_to_oci` will give it."""
    name, config, layers = _read_image(archive, architecture)
    document = archive.parse_document(config.data or b"{}", "the configuration")
    return image_archives.ArchivedImage(
        archive.path,
        name,
        # Without writing anything: a digest can be shown before the image is loaded.
        image_archives.manifest_of(config, [layer for _, layer in layers]).digest,
        str(document["architecture"]),
        document.get("config") or {},
        tuple(layer.digest for _, layer in layers),
        docker_save=True,
    )


def convert_to_oci(source: Path, target: Path, scratch: Path, architecture: str) -> str:
    """Write the OCI archive of a ``docker save`` file; returns its digest.

    ``scratch`` is an empty folder for the layers.
    """
    with ArchiveReader(source) as archive, archive.documents_as_expected():
        name, config, layers = _read_image(archive, architecture)
        blobs: list[image_archives.Blob] = []
        for member, layer in layers:
            path = scratch / layer.sha256
            archive.copy_member(member, path)
            # Named by hash: a layer that occurs twice is written over by equal bytes.
            blobs.append(replace(layer, path=path))
        return image_archives.write_blobs(
            target, name=name, architecture=architecture, config=config, layers=blobs
        )


def _read_image(
    archive: ArchiveReader, architecture: str
) -> tuple[str, image_archives.Blob, list[tuple[str, image_archives.Blob]]]:
    """Return the image's name, its configuration, and for each layer its member's name and blob."""
    if "manifest.json" not in archive:
        raise archive.broken_archive("it has neither index.json nor manifest.json")
    images = archive.read_json("manifest.json")
    if not isinstance(images, list) or not images or not all(isinstance(image, dict) for image in images):
        raise archive.broken_archive("its manifest.json lists no image")
    # RepoTags is null for an image that was saved by its id.
    tags = [tag for image in images for tag in image.get("RepoTags") or []]
    if len(images) > 1 or len(tags) > 1:
        raise UsageError(
            "C2D-IMAGE-AMBIGUOUS",
            f"{archive.path} holds several images or names: {', '.join(tags) or len(images)}.",
            "Save one image under one name per file.",
        )
    config_name, members = images[0].get("Config"), images[0].get("Layers")
    if not isinstance(config_name, str) or not isinstance(members, list):
        raise archive.broken_archive("its manifest.json names no configuration and layers")
    # The bytes as they are: the image's id is their hash, and writing them anew would change it.
    config = image_archives.Blob.of_bytes(image_archives.CONFIG, archive.read_member(config_name))
    document = archive.read_json(config_name)
    image_archives.check_architecture(archive, document, architecture)
    layers = [(str(member), _layer_blob(archive, str(member))) for member in members]
    _check_diff_ids(archive, document, layers)
    return (tags[0] if tags else ""), config, layers


def _layer_blob(archive: ArchiveReader, member: str) -> image_archives.Blob:
    """Describe a layer by its bytes in the archive; Docker's format names no media type and no size."""
    suffix = _COMPRESSED.get(archive.member_head(member, 2), "")
    return image_archives.Blob(
        image_archives.LAYER + suffix, archive.member_sha256(member), archive.find_member(member).size
    )


def _check_diff_ids(
    archive: ArchiveReader, document: Any, layers: list[tuple[str, image_archives.Blob]]
) -> None:
    """Check that every uncompressed layer has the hash that the configuration promises."""
    promised = document.get("rootfs", {}).get("diff_ids", [])
    if len(promised) != len(layers):
        raise archive.broken_archive("its configuration and its layers do not belong together")
    for (_, layer), diff_id in zip(layers, promised, strict=True):
        # A diff_id is the hash of the uncompressed layer, so compressed ones cannot be compared with it here.
        if layer.media_type == image_archives.LAYER and layer.digest != diff_id:
            raise archive.broken_archive(f"the layer {diff_id} has another hash")
