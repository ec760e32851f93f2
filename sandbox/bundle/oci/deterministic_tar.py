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
    """File on disk whose bytes are copied."""
    text: bytes | None = None
    """Content given as bytes."""
    link: str = ""
    """Target of a symbolic link."""
    folder: bool = False
    mode: int = 0o644


def write_layer(target: Path, nodes: Iterable[TarNode]) -> None:
    """Write the layer: entries sorted, owned by root, identical in every run, with the parent folders of
    every entry.
    """
    # A later node replaces an earlier one of the same path.
    chosen = {node.path: node for node in nodes}
    for path in list(chosen):
        for parent in PurePosixPath(path).parents:
            name = parent.as_posix()
            if name != ".":
                # Parents that were given keep their mode, such as a /tmp that everybody may write.
                chosen.setdefault(name, TarNode(name, folder=True, mode=0o755))
    # PAX: paths may be longer than 100 bytes and need not be ASCII.
    with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as archive:
        # A parent's path is the beginning of its children's, so it sorts before them.
        for path in sorted(chosen):
            _add_node(archive, chosen[path])


def _add_node(archive: tarfile.TarFile, node: TarNode) -> None:
    """Add one entry with a fixed time and owner."""
    # A new header belongs to root (0:0) without names; the builder's own account does not get in.
    header = tarfile.TarInfo(node.path)
    header.mtime = SOURCE_DATE_EPOCH
    header.mode = node.mode
    if node.folder:
        header.type = tarfile.DIRTYPE
        archive.addfile(header)
    elif node.link:
        # Linux ignores the mode of a link; 777 is what tools write.
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
            # Two modes only, so that the umask of whoever built does not change the bytes.
            found.append(TarNode(name, file=path, mode=0o755 if path.stat().st_mode & 0o100 else 0o644))
    return found
