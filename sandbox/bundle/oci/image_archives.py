"""Writes images as OCI archives, and has the values of which archives are made.

An OCI archive is a tar of blobs named by their hash, plus ``index.json`` that says which of them is the
manifest. The digest of that manifest is the image's identity: it is what a DDO's ``checksum`` holds and what
the cluster resolves.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from c2d_box.errors import UsageError
from sandbox.bundle.cache import digest_of
from sandbox.bundle.oci.archive_reader import ArchiveReader

# Media types of the OCI image specification, and the ones that Docker used before it.
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
NAME = "io.containerd.image.name"
"""Annotation from which containerd takes an image's full name at import."""
REF_NAME = "org.opencontainers.image.ref.name"
"""Annotation of the OCI image layout for the tag."""


@dataclass(frozen=True, slots=True)
class Blob:
    """Bytes named by their hash: a document in memory or a layer on disk."""

    media_type: str
    sha256: str
    size: int
    data: bytes | None = None
    path: Path | None = None

    @classmethod
    def of_bytes(cls, media_type: str, data: bytes) -> Blob:
        """Make a blob of bytes in memory."""
        return cls(media_type, hashlib.sha256(data).hexdigest(), len(data), data=data)

    @classmethod
    def of_document(cls, media_type: str, document: dict[str, Any]) -> Blob:
        """Make a blob of a JSON document, in one fixed spelling."""
        # Sorted and without spaces: the digest is of the bytes, so equal documents must be equal bytes.
        return cls.of_bytes(media_type, json.dumps(document, sort_keys=True, separators=(",", ":")).encode())

    @classmethod
    def of_file(cls, media_type: str, path: Path) -> Blob:
        """Make a blob of a file, which is read once for its hash and stays where it is."""
        return cls(media_type, digest_of(path), path.stat().st_size, path=path)

    @property
    def digest(self) -> str:
        """Return the hash as OCI writes it, with its algorithm."""
        return f"sha256:{self.sha256}"

    def descriptor(self, **more: Any) -> dict[str, Any]:
        """Return the OCI descriptor, by which an index or a manifest refers to the blob."""
        return {"mediaType": self.media_type, "digest": self.digest, "size": self.size, **more}


@dataclass(frozen=True, slots=True)
class ImageSettings:
    """Default settings of a container of the image."""

    user: str
    """User and group as numbers: an image may have no accounts, and Kubernetes can only tell that a number is
    not root.
    """
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    working_dir: str = "/"
    labels: tuple[tuple[str, str], ...] = field(default=())

    def as_config(self) -> dict[str, Any]:
        """Return the ``config`` object of the image's configuration. Empty lists stay out, as Docker leaves
        them out.
        """
        config: dict[str, Any] = {
            "User": self.user,
            "Env": [f"{name}={value}" for name, value in self.env],
            "WorkingDir": self.working_dir,
            "Labels": dict(self.labels),
        }
        if self.entrypoint:
            config["Entrypoint"] = list(self.entrypoint)
        if self.command:
            config["Cmd"] = list(self.command)
        return config


@dataclass(frozen=True, slots=True)
class ArchivedImage:
    """The image that an archive holds."""

    archive: Path
    name: str
    """``repository:tag`` as the archive names it, or empty."""
    digest: str
    """``sha256:`` and the manifest's hash."""
    architecture: str
    config: dict[str, Any]
    """The ``config`` object of the image's configuration: User, Env, Entrypoint …"""
    layers: tuple[str, ...]
    """Digests of the layers, lowest first."""
    docker_save: bool = False
    """True when the archive has no manifest of its own and must be converted before it can be loaded."""


def write_image(
    target: Path,
    *,
    name: str,
    architecture: str,
    layers: Sequence[Blob],
    settings: ImageSettings,
    created: str,
) -> str:
    """Write an image whose layers are uncompressed tars and return its digest. Same inputs, same bytes."""
    config = Blob.of_document(
        CONFIG,
        {
            "created": created,
            "architecture": architecture,
            "os": "linux",
            "config": settings.as_config(),
            # A diff_id is the hash of the uncompressed tar. The layers are uncompressed, so it is their
            # digest.
            "rootfs": {"type": "layers", "diff_ids": [layer.digest for layer in layers]},
            "history": [{"created": created, "created_by": "c2d-box bundle build"} for _ in layers],
        },
    )
    return write_blobs(target, name=name, architecture=architecture, config=config, layers=layers)


def manifest_of(config: Blob, layers: Sequence[Blob]) -> Blob:
    """Return the manifest that names a configuration and its layers."""
    return Blob.of_document(
        MANIFEST,
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": config.descriptor(),
            "layers": [layer.descriptor() for layer in layers],
        },
    )


def write_blobs(target: Path, *, name: str, architecture: str, config: Blob, layers: Sequence[Blob]) -> str:
    """Write an archive from a finished configuration and its layers; return the manifest's digest."""
    manifest = manifest_of(config, layers)
    # The name stands in the index only: it does not change the manifest's digest.
    annotations = {NAME: name, REF_NAME: name.rpartition(":")[2]} if name else {}
    index = {
        "schemaVersion": 2,
        "mediaType": INDEX,
        "manifests": [
            manifest.descriptor(
                platform={"architecture": architecture, "os": "linux"},
                **({"annotations": annotations} if annotations else {}),
            )
        ],
    }
    # A layer that the image has twice is stored once.
    unique = {blob.sha256: blob for blob in (config, *layers, manifest)}
    with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as archive:
        _add_bytes(archive, "oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
        _add_bytes(archive, "index.json", json.dumps(index, sort_keys=True, separators=(",", ":")).encode())
        # Sorted, and without time stamps (TarInfo sets 0): the archive's own bytes are reproducible too.
        for sha256 in sorted(unique):
            _add_blob(archive, unique[sha256])
    return manifest.digest


def _add_bytes(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    """Add a document under its name."""
    header = tarfile.TarInfo(name)
    header.size, header.mode = len(data), 0o644
    archive.addfile(header, io.BytesIO(data))


def _add_blob(archive: tarfile.TarFile, blob: Blob) -> None:
    """Add a blob under its hash; a file is copied as a stream, because layers are large."""
    name = f"blobs/sha256/{blob.sha256}"
    if blob.path is None:
        _add_bytes(archive, name, blob.data or b"")
        return
    header = tarfile.TarInfo(name)
    header.size, header.mode = blob.size, 0o644
    with blob.path.open("rb") as stream:
        archive.addfile(header, stream)


def check_architecture(archive: ArchiveReader, config: Any, architecture: str) -> None:
    """Refuse an image whose programs this machine cannot run."""
    if not isinstance(config, dict) or config.get("os", "linux") != "linux" or "architecture" not in config:
        raise archive.broken_archive("its configuration names no Linux architecture")
    if config["architecture"] != architecture:
        raise UsageError(
            "C2D-IMAGE-ARCHITECTURE",
            f"The image in {archive.path} is for {config['architecture']}; this machine is {architecture}.",
            f"Build it with `docker build --platform linux/{architecture}`.",
        )
