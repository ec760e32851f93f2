"""Writes deterministic tar files: a layer's bytes follow from names and contents, not builder or time."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from sandbox.bundle.parts.recipe import SOURCE_DATE_EPOCH


@dataclass(frozen=True, slots=True)
class TarNode:
    """One entry of a layer. Exactly one of ``file``, ``text``, ``link`` or ``folder`` says what it is."""

    path: str
    """Absolute inside the image, without the leading slash."""
    file: Path | None = None
    text: bytes | None = None
    link: str = ""
    folder: bool = False
    mode: int = 0o644


def write_layer(target: Path, nodes: Iterable[TarNode]) -> None:
    """Write the layer: entries sorted, owned by root, identical in every run, with the parent folders of
    every entry.
    """
    chosen = {node.path: node for node in nodes}
    for path in list(chosen):
        for parent in PurePosixPath(path).parents:
            name = parent.as_posix()
            if name != ".":
                chosen.setdefault(name, TarNode(name, folder=True, mode=0o755))
    with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as archive:
        for path in sorted(chosen):
            _add_node(archive, chosen[path])


def _add_node(archive: tarfile.TarFile, node: TarNode) -> None:
    header = tarfile.TarInfo(node.path)
    header.mtime = SOURCE_DATE_EPOCH
    header.mode = node.mode
    if node.folder:
        header.type = tarfile.DIRTYPE
        archive.addfile(header)
    elif node.link:
        header.type, header.linkname, header.mode = tarfile.SYMTYPE, node.link, 0o777
        archive.addfile(header)
    elif node.file is not None:
        header.size = node.file.stat().st_size
        with node.file.open("rb") as stream:
            archive.addfile(header, stream)
    else:
        header.size = len(node.text or b"")
        archive.addfile(header, io.BytesIO(node.text or b""))


def nodes_below(folder: Path, inside: str) -> list[TarNode]:
    """Return nodes for everything below a folder on disk, placed under ``inside`` in the image. Modes become
    644 or 755.
    """
    found: list[TarNode] = []
    for path in sorted(folder.rglob("*")):
        name = f"{inside}/{path.relative_to(folder).as_posix()}".lstrip("/")
        if path.is_symlink():
            found.append(TarNode(name, link=str(path.readlink())))
        elif path.is_dir():
            found.append(TarNode(name, folder=True, mode=0o755))
        else:
            found.append(TarNode(name, file=path, mode=0o755 if path.stat().st_mode & 0o100 else 0o644))
    return found
