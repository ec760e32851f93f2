"""A job's results as a tree of salted blocks: named first, then sent as one CAR stream whose root is known.

The stream begins with the root's name, which depends on every byte, so files are read twice. Nothing but the
names of leaves is kept in memory between the two readings.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

from c2d_box.assets.crypto import salted_blocks
from c2d_box.assets.crypto.salted_blocks import SALT_BYTES, DagBlock, DagLink, encode_varint

CHUNK = 1 << 20
"""Bytes of a leaf; a block may have 2 MiB."""
WIDTH = 1024
"""Links of a node inside a file."""
Pieces = Callable[[], Iterable[bytes]]
"""Reads a file's bytes from their beginning, each time it is called."""


@dataclass(frozen=True)
class ResultTree:
    """The root folder and, by path, each file."""

    root: bytes
    files: dict[str, bytes]

    def cid_of(self, path: str) -> str:
        """Return the CID of a file as text, as the job's results list it."""
        return salted_blocks.cid_text(self.files[path])


@dataclass
class _DagFolder:
    folders: dict[str, _DagFolder] = field(default_factory=dict)
    files: dict[str, Pieces] = field(default_factory=dict)


class DagBuilder:
    """Makes the same blocks of the same files each time, for one ``secret``."""

    def __init__(self, files: dict[str, Pieces], secret: bytes) -> None:
        """``files``: for each path how to read its bytes, as often as wanted."""
        self._secret = secret
        self._top = _DagFolder()
        for path, pieces in files.items():
            # A path is a file or a folder, never both: the judge has placed them so.
            *folders, name = path.split("/")
            place = self._top
            for folder in folders:
                place = place.folders.setdefault(folder, _DagFolder())
            place.files[name] = pieces

    def plan_tree(self) -> ResultTree:
        """Return the names of everything; reads each file once."""
        found: dict[str, bytes] = {}
        last: DagLink | None = None
        for path, block in self._folder_blocks("", self._top):
            found[path] = block.link.cid
            last = block.link
        assert last is not None
        return ResultTree(last.cid, found)

    def car_stream(self, root: bytes) -> Iterator[bytes]:
        """Yield the CAR stream; reads each file once more."""
        # A CARv1 header in DAG-CBOR: ``{roots: [root], version: 1}``, with the root as tag 42 behind a zero
        # byte.
        header = b"\xa2\x65roots\x81\xd8\x2a\x58\x25\x00" + root + b"\x67version\x01"
        yield encode_varint(len(header)) + header
        for _, block in self._folder_blocks("", self._top):
            yield encode_varint(len(block.link.cid) + len(block.data)) + block.link.cid + block.data

    def _folder_blocks(self, path: str, folder: _DagFolder) -> Iterator[tuple[str, DagBlock]]:
        """Yield every block below a folder and, last, its own; each with the path of what it ends."""
        links = []
        # Sorted, so that the same files make the same blocks whatever order they came in.
        for name in sorted({*folder.folders, *folder.files}):
            inner = f"{path}/{name}" if path else name
            below = folder.folders.get(name)
            last = None
            for found, block in (
                self._folder_blocks(inner, below)
                if below is not None
                else self._file_blocks(inner, folder.files[name])
            ):
                yield found, block
                last = block
            assert last is not None
            links.append(replace(last.link, name=name))
        yield path, salted_blocks.directory_block(links, self._block_salt(path, "folder"))

    def _file_blocks(self, path: str, pieces: Pieces) -> Iterator[tuple[str, DagBlock]]:
        """Yield every block of a file and, last, its root."""
        links: list[DagLink] = []
        block = None
        for number, piece in enumerate(_equal_pieces(pieces())):
            block = salted_blocks.leaf_block(piece, self._block_salt(path, f"leaf {number}"))
            links.append(block.link)
            yield path, block
        level = 0
        # A file of one leaf is that leaf; a larger one is a tree whose root is made last.
        while len(links) > 1:
            above = []
            for start in range(0, len(links), WIDTH):
                block = salted_blocks.branch_block(
                    links[start : start + WIDTH], self._block_salt(path, f"branch {level} {start}")
                )
                above.append(block.link)
                yield path, block
            links, level = above, level + 1

    def _block_salt(self, path: str, part: str) -> bytes:
        """Return the salt of one block. It depends on path and position, so that equal files, and equal
        pieces of one, share no block: an equality would be told to anybody who reads names. It is the same
        at each reading, because the stream has to give the blocks that were planned."""
        return hmac.digest(self._secret, f"{part}\n{path}".encode(), hashlib.sha256)[:SALT_BYTES]


def _equal_pieces(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the same bytes in pieces of one length, the last one shorter; one empty piece where there are
    none."""
    waiting = bytearray()
    empty = True
    for piece in pieces:
        waiting += piece
        # More than, not at least: the last piece is never empty unless the file is.
        while len(waiting) > CHUNK:
            yield bytes(waiting[:CHUNK])
            del waiting[:CHUNK]
            empty = False
    if waiting or empty:
        yield bytes(waiting)
