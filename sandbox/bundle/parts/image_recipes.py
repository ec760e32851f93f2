"""Recipes of images: layers of other parts, files placed from other parts, and the settings of a container.

Layers are ordered from those that never change to those that always change, so that a change of our code
rebuilds the last one only.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.bundle.oci import deterministic_tar, image_archives
from sandbox.bundle.parts import import_closure
from sandbox.bundle.parts.c_programs import SOURCES
from sandbox.bundle.parts.recipe import RECIPES, SOURCE_DATE_EPOCH, Bench, Recipe
from sandbox.bundle.parts.wheel_layers import compile_all

CREATED = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(SOURCE_DATE_EPOCH))
REGISTRY = "c2d.local"
"""No registry answers to this name: an image that is not in the cluster cannot be fetched from anywhere."""


@dataclass(frozen=True, kw_only=True)
class CodeLayer(Recipe):
    """The recipe of a layer with our own packages and their byte code: ``layer.tar``."""

    inside: str
    base: str

    def inputs(self) -> Iterator[tuple[str, Path]]:
        for name in import_closure.files():
            yield name, SOURCES / name

    def make(self, bench: Bench) -> dict[str, Any]:
        target = bench.scratch / self.inside
        for name, path in self.inputs():
            copy = target / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
        compile_all(bench.scratch, [self.inside], bench.needs[self.base].file("layer.tar"), bench)
        deterministic_tar.write(bench.out / "layer.tar", deterministic_tar.nodes_below(target, self.inside))
        return {}


@dataclass(frozen=True)
class Part:
    """A layer of the image: the whole layer of another part."""

    name: str


@dataclass(frozen=True)
class Placed:
    """A layer of the image: single files from other parts and from ``recipes/scripts``."""

    programs: tuple[tuple[str, str, str], ...] = ()
    """(path in the image, part, file of the part) of each program, executable."""
    scripts: tuple[tuple[str, str], ...] = ()
    """(path in the image, file in ``recipes/scripts``) of each script, executable."""
    links: tuple[tuple[str, str], ...] = ()
    texts: tuple[tuple[str, str], ...] = ()
    folders: tuple[tuple[str, int], ...] = ()

    def nodes(self, bench: Bench) -> list[deterministic_tar.Node]:
        return [
            *(
                deterministic_tar.Node(path, file=bench.needs[part].file(file), mode=0o755)
                for path, part, file in self.programs
            ),
            *(
                deterministic_tar.Node(path, file=RECIPES / "scripts" / name, mode=0o755)
                for path, name in self.scripts
            ),
            *(deterministic_tar.Node(path, link=target) for path, target in self.links),
            *(deterministic_tar.Node(path, text=text.encode()) for path, text in self.texts),
            *(deterministic_tar.Node(path, folder=True, mode=mode) for path, mode in self.folders),
        ]


@dataclass(frozen=True, kw_only=True)
class ImageRecipe(Recipe):
    """The recipe of one image as an OCI archive: ``image.tar``. The part of image ``x`` is called
    ``x-image``.
    """

    layers: tuple[Part | Placed, ...]
    settings: image_archives.Settings

    @property
    def reference(self) -> str:
        return f"{REGISTRY}/{self.name.removesuffix('-image')}:latest"

    def inputs(self) -> Iterator[tuple[str, Path]]:
        for layer in self.layers:
            if isinstance(layer, Placed):
                for _, name in layer.scripts:
                    yield f"scripts/{name}", RECIPES / "scripts" / name

    def make(self, bench: Bench) -> dict[str, Any]:
        blobs = [self._blob(bench, number, layer) for number, layer in enumerate(self.layers)]
        digest = image_archives.write(
            bench.out / "image.tar",
            name=self.reference,
            architecture=bench.architecture,
            layers=blobs,
            settings=self.settings,
            created=CREATED,
        )
        return {"reference": self.reference, "digest": digest}

    def _blob(self, bench: Bench, number: int, layer: Part | Placed) -> image_archives.Blob:
        if isinstance(layer, Part):
            entry = bench.needs[layer.name]
            path = entry.file("layer.tar")
            return image_archives.Blob(
                image_archives.LAYER, entry.sha256("layer.tar"), path.stat().st_size, path=path
            )
        path = bench.scratch / f"placed-{number}.tar"
        deterministic_tar.write(path, layer.nodes(bench))
        return image_archives.Blob.of_file(image_archives.LAYER, path)
