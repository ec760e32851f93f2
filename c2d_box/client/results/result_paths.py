"""Maps a job's results to paths in a folder: each has its own, none takes another's, none leads outside.

A result's name is the path the algorithm wrote it at, and files beside the algorithm's log are results too,
so two may have one name, or one be named like another's folder. The list may also come from a Provider that
nobody knows, so a name is only taken as a wish.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import count
from pathlib import PurePosixPath
from typing import Any

from c2d_box.client.results.decryption import plain_name
from c2d_box.workflow.filenames import is_hidden

_NAME_BYTES = 240
"""The bytes of a name. A file is written under a longer name first, which has to fit too."""


def result_paths(listed: Iterable[Mapping[str, Any]]) -> dict[int, PurePosixPath]:
    """Return the relative path of every result by its index; the same for the same list, whichever is
    fetched."""
    # Files and folders apart: a file must not stand where another's folder is, nor the reverse.
    taken: set[PurePosixPath] = set()
    folders: set[PurePosixPath] = set()
    found = {}
    # In the list's order, so a result keeps its path when only that one is fetched.
    for item in listed:
        index = int(item["index"])
        path = _free_path(_relative_path(plain_name(item), index), index, taken, folders)
        taken.add(path)
        folders.update(path.parents)
        found[index] = path
    return found


def _free_path(
    wish: PurePosixPath, index: int, taken: set[PurePosixPath], folders: set[PurePosixPath]
) -> PurePosixPath:
    """Return the wish itself, or a path below a folder named after the index where that path is taken."""
    path = wish
    for number in count(1):
        if path not in taken and path not in folders and taken.isdisjoint(path.parents):
            break
        # Underscores multiply until it is free: an algorithm may have written files of that name as well.
        path = PurePosixPath(f"{'_' * number}{index}") / wish
    return path


def _relative_path(name: str, index: int) -> PurePosixPath:
    """Return a result's name as a path below the folder: nothing absolute, no ``..``, never empty."""
    parts = [_harmless_part(part) for part in name.split("/") if part not in ("", ".", "..")]
    return PurePosixPath(*parts) if parts else PurePosixPath(f"result-{index}")


def _harmless_part(part: str) -> str:
    """Replace hidden characters by ``_`` and cut what is too long for a file's name."""
    plain = "".join("_" if is_hidden(part, position) else char for position, char in enumerate(part))
    # Cut by bytes, as file systems count; ``replace`` takes lone surrogates, which JSON can carry.
    return plain.encode("utf-8", "replace")[:_NAME_BYTES].decode("utf-8", "ignore")
