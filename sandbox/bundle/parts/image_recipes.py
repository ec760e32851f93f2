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
from sandbox.bundle.parts.recipe import RECIPES, SOURCE_DATE_EPOCH, BuildContext, Recipe
from sandbox.bundle.parts.wheel_layers import compile_all

CREATED = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(SOURCE_DATE_EPOCH))
"""Creation time in every image's configuration: fixed, so that the same inputs give the same digest."""
REGISTRY = "c2d.local"
"""No registry answers to this name: an image that is not in the cluster cannot be fetched from anywhere."""


@dataclass(frozen=True, kw_only=True)
class CodeLayer(Recipe):
    """The recipe of a layer with our own packages and their byte code: ``layer.tar``. Each edit of a shipped
    module gives it a new key, and with it the images that have it.
    """

    inside: str
    """Folder in the image, without the leading slash."""
    base: str
    """The part whose layer holds the Python that makes the byte code."""

    def input_files(self) -> Iterator[tuple[str, Path]]:
        for name in import_closure.closure_files():
            yield name, SOURCES / name

    def make_part(self, bench: BuildContext) -> dict[str, Any]:
        target = bench.scratch / self.inside
        # Copied from exactly the files that were hashed; modes and owners are set when the layer is written.
        for name, path in self.input_files():
            copy = target / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
        # Byte code is made here: containers have a read-only root and would compile at each start.
        compile_all(bench.scratch, [self.inside], bench.needs[self.base].file_path("layer.tar"), bench)
        deterministic_tar.write_layer(
            bench.out / "layer.tar", deterministic_tar.nodes_below(target, self.inside)
        )
        return {}


@dataclass(frozen=True)
class PartLayer:
    """A layer of the image: the whole layer of another part."""

    name: str


@dataclass(frozen=True)
class FileLayer:
    """A layer of the image: single files from other parts and from ``recipes/scripts``."""

    programs: tuple[tuple[str, str, str], ...] = ()
    """(path in the image, part, file of the part) of each program, executable."""
    scripts: tuple[tuple[str, str], ...] = ()
    """(path in the image, file in ``recipes/scripts``) of each script, executable."""
    links: tuple[tuple[str, str], ...] = ()
    """(path in the image, target) of each symbolic link."""
    texts: tuple[tuple[str, str], ...] = ()
    """(path in the image, content) of each small file."""
    folders: tuple[tuple[str, int], ...] = ()
    """(path in the image, mode) of each empty folder."""

    def tar_nodes(self, bench: BuildContext) -> list[deterministic_tar.TarNode]:
        """Return the layer's entries; parent folders are added when the layer is written."""
        return [
            *(
                deterministic_tar.TarNode(path, file=bench.needs[part].file_path(file), mode=0o755)
                for path, part, file in self.programs
            ),
            *(
                deterministic_tar.TarNode(path, file=RECIPES / "scripts" / name, mode=0o755)
                for path, name in self.scripts
            ),
            *(deterministic_tar.TarNode(path, link=target) for path, target in self.links),
            *(deterministic_tar.TarNode(path, text=text.encode()) for path, text in self.texts),
            *(deterministic_tar.TarNode(path, folder=True, mode=mode) for path, mode in self.folders),
        ]


@dataclass(frozen=True, kw_only=True)
class ImageRecipe(Recipe):
    """The recipe of one image as an OCI archive: ``image.tar``. The part of image ``x`` is called
    ``x-image``.
    """

    layers: tuple[PartLayer | FileLayer, ...]
    settings: image_archives.ImageSettings

    @property
    def image_reference(self) -> str:
        """Return the name under which the image is loaded; the objects of the cluster use its digest."""
        return f"{REGISTRY}/{self.name.removesuffix('-image')}:latest"

    def input_files(self) -> Iterator[tuple[str, Path]]:
        # Layers of other parts and programs enter the key through `needs`; only scripts are files of ours.
        for layer in self.layers:
            if isinstance(layer, FileLayer):
                for _, name in layer.scripts:
                    yield f"scripts/{name}", RECIPES / "scripts" / name

    def make_part(self, bench: BuildContext) -> dict[str, Any]:
        blobs = [self._layer_blob(bench, number, layer) for number, layer in enumerate(self.layers)]
        digest = image_archives.write_image(
            bench.out / "image.tar",
            name=self.image_reference,
            architecture=bench.architecture,
            layers=blobs,
            settings=self.settings,
            created=CREATED,
        )
        return {"reference": self.image_reference, "digest": digest}

    def _layer_blob(
        self, bench: BuildContext, number: int, layer: PartLayer | FileLayer
    ) -> image_archives.Blob:
        """Return a layer as a blob: a part's own file, or one written here."""
        if isinstance(layer, PartLayer):
            entry = bench.needs[layer.name]
            path = entry.file_path("layer.tar")
            # The hash is the recorded one: hashing a layer of some hundred megabytes again takes seconds.
            return image_archives.Blob(
                image_archives.LAYER, entry.file_sha256("layer.tar"), path.stat().st_size, path=path
            )
        path = bench.scratch / f"placed-{number}.tar"
        deterministic_tar.write_layer(path, layer.tar_nodes(bench))
        return image_archives.Blob.of_file(image_archives.LAYER, path)
