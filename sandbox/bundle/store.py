"""Gives the rest of the box access to the finished bundle: binaries, images, the version of Kubernetes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from c2d_box.errors import StateProblem
from sandbox.bundle.cache import BundleCache, CachedPart
from sandbox.bundle.parts import catalogue, programs
from sandbox.bundle.parts.recipe import machine_architecture

_BUILD = "Run `c2d-box bundle build`: it makes what is missing or damaged and keeps the rest."
"""Next step in every error of this module."""


@dataclass(frozen=True, slots=True)
class BundleImage:
    """One image of the bundle."""

    name: str
    reference: str
    """``c2d.local/<name>:latest``."""
    digest: str
    """``sha256:`` digest of the manifest: ``name@digest`` resolves by it and a DDO's checksum holds it."""
    archive: Path
    """OCI archive, uncompressed."""

    @property
    def pinned_reference(self) -> str:
        """Return ``c2d.local/<name>@sha256:…``: the reference of exactly this image, for the objects of the
        cluster.
        """
        return f"{self.reference.rpartition(':')[0]}@{self.digest}"


@dataclass(frozen=True, slots=True)
class BundleNodeImage:
    """The image of a whole node, for the Docker engine."""

    reference: str
    id: str
    """``sha256:…`` of the configuration, by which the engine tells images of the same name apart."""
    archive: Path


class Bundle:
    """The finished parts of one version of c2d-box, for one architecture. Everything that starts a box gets
    its programs and images from here; nothing here builds or writes.
    """

    def __init__(self, architecture: str, entries: Mapping[str, CachedPart]) -> None:
        self.architecture = architecture
        self._entries = entries

    @classmethod
    def open_cached(cls, parts: Iterable[str] | None = None, cache: BundleCache | None = None) -> Bundle:
        """Open the bundle in the cache, or only the named parts of it. Checks sizes and times, not bytes.

        Raises :class:`StateProblem` when parts are missing (``C2D-BUNDLE-INCOMPLETE``), were made by another
        version of c2d-box (``C2D-BUNDLE-VERSION``) or are damaged (``C2D-BUNDLE-DAMAGED``).
        """
        cache = cache or BundleCache()
        parts = None if parts is None else list(parts)
        recipes = catalogue.chosen_recipes(parts)
        machine = machine_architecture()
        keys = catalogue.content_keys(recipes, machine)
        # The parts themselves, without what they are made from: a bundle that was loaded has no layers.
        asked = None if parts is None else {catalogue.part_named(name) for name in parts}
        used = [
            recipe
            for recipe in recipes
            if (catalogue.is_product(recipe) if asked is None else recipe.name in asked)
        ]
        entries = {recipe.name: cache.find_part(recipe.name, keys[recipe.name]) for recipe in used}
        found = {name: entry for name, entry in entries.items() if entry is not None}
        # Completeness before damage: a missing part is named even where another one is broken.
        _check_complete(cache, [name for name in entries if name not in found])
        for name, entry in found.items():
            if damage := next(entry.find_damage(), None):
                raise damaged_parts({name: [damage[0]]})
            # Keeps the entry among those that stay, although it was built long ago.
            entry.mark_used()
        return cls(machine, found)

    @property
    def kubernetes_version(self) -> str:
        """Return the version of Kubernetes with the leading v."""
        return programs.KUBERNETES

    def binary(self, name: str) -> Path:
        """Return the path of a program: ``kube``, ``kubelet``, ``containerd``, ``cni/bridge``, ``kubo``,
        ``gate`` …
        """
        # Programs are found by their file, not by their part: one part may hold several.
        for entry in self._entries.values():
            if any(record.path == name for record in entry.manifest.files) and not _is_layer(name):
                return entry.file_path(name)
        raise KeyError(name)

    def image(self, name: str) -> BundleImage:
        """Return an image by its short name, such as ``runtime``; raise KeyError where it was not opened."""
        entry = self._entries[f"{name}-image"]
        facts = entry.manifest.facts
        return BundleImage(name, str(facts["reference"]), str(facts["digest"]), entry.file_path("image.tar"))

    @property
    def node_image(self) -> BundleNodeImage:
        """Return kind's node image, made of this bundle."""
        entry = self._entries["node-image"]
        facts = entry.manifest.facts
        return BundleNodeImage(str(facts["reference"]), str(facts["id"]), entry.file_path("image.tar"))

    @property
    def images(self) -> list[BundleImage]:
        """Return all images, in the catalogue's order."""
        names = [recipe.name for recipe in catalogue.IMAGES if recipe.name in self._entries]
        return [self.image(name.removesuffix("-image")) for name in names]


def _is_layer(name: str) -> bool:
    """Return whether a file is a layer or an image archive: every such part has a file of that name, so the
    name says nothing.
    """
    return name in ("layer.tar", "image.tar")


def _check_complete(cache: BundleCache, missing: list[str]) -> None:
    """Raise an error for missing parts. Parts of another version are told apart from a bundle that was never
    built, because an update explains them.
    """
    if not missing:
        return
    names = ", ".join(missing)
    if any(cache.latest_part(name) for name in missing):
        raise StateProblem(
            "C2D-BUNDLE-VERSION",
            f"The bundle in {cache.root} was made by another version of c2d-box: {names} must be made again.",
            _BUILD,
            parts=missing,
        )
    raise StateProblem("C2D-BUNDLE-INCOMPLETE", f"The bundle lacks {names}.", _BUILD, parts=missing)


def damaged_parts(findings: Mapping[str, list[str]]) -> StateProblem:
    """Return the error that names damaged entries and their files."""
    named = "; ".join(f"{part} ({', '.join(files)})" for part, files in findings.items())
    return StateProblem(
        "C2D-BUNDLE-DAMAGED",
        f"Files of the bundle are not as they were built: {named}.",
        _BUILD,
        parts={part: list(files) for part, files in findings.items()},
    )
