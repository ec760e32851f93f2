"""Stores which assets ``run`` published, by path and account, so that the same command finds its assets
again.

A file that is lost or broken costs nothing but new DIDs. The text of a script as it was last published is
kept beside it: an owner who is asked to permit a new version wants to see what changed. Of data nothing is
kept.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from c2d_box.files import replace_file
from sandbox.home import BoxHome

LONGEST_DIFF = 60
"""Lines of a difference that are shown: an owner reads it before a yes-or-no question on one screen."""
LARGEST_SCRIPT = 1 << 20
"""Largest script in bytes of which a copy is kept and a difference shown: a larger one is a binary, or a
bundle of code.
"""


@dataclass(frozen=True, slots=True)
class Known:
    """An asset published by ``run``. ``sha256`` is of the content that is published; ``how`` names image and
    entrypoint of an algorithm; ``mark`` tells the asset from any other that has its DID
    (:func:`sandbox.verbs.publishing.asset_identity.asset_mark`).
    """

    did: str
    sha256: str
    how: str = ""
    mark: str = ""


class LoopMemory:
    """The stored assets: a folder in the box's home."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = folder / "assets.json"

    def get(self, path: Path, who: str) -> Known | None:
        """Return the asset that ``who`` published from ``path``."""
        entry = self._read_all().get(_entry_key(path, who))
        try:
            return Known(**entry) if entry else None
        # Written by a version with other fields: as good as forgotten.
        except TypeError:
            return None

    def put(self, path: Path, who: str, known: Known) -> None:
        """Store the asset that ``who`` published from ``path``."""
        entries = {**self._read_all(), _entry_key(path, who): asdict(known)}
        replace_file(self._file, json.dumps(entries, indent=2) + "\n")

    def put_script(self, path: Path, who: str, known: Known) -> None:
        """Store the asset with its script's text as it is now. Not for data: a copy in the home would be a
        leak.
        """
        self.put(path, who, known)
        copy = self._copy_path(known.did)
        if path.stat().st_size <= LARGEST_SCRIPT:
            replace_file(copy, path.read_bytes())
        else:
            # The old copy would be compared with a version it does not precede.
            copy.unlink(missing_ok=True)

    def forget_all(self) -> None:
        """Delete everything stored: the chain on which it was published is gone or was taken back."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def diff_script(self, path: Path, known: Known | None) -> list[str]:
        """Return the difference from the version published last, as a unified diff; empty where no version is
        stored.
        """
        if known is None or not self._copy_path(known.did).exists():
            return []
        if path.stat().st_size > LARGEST_SCRIPT:
            return []
        # A script need not be UTF-8; a replaced character in a difference is better than a traceback before a
        # question.
        before = self._copy_path(known.did).read_text(errors="replace").splitlines()
        now = path.read_text(errors="replace").splitlines()
        lines = list(difflib.unified_diff(before, now, "permitted before", path.name, lineterm="", n=1))
        rest = len(lines) - LONGEST_DIFF
        return [*lines[:LONGEST_DIFF], f"… and {rest} lines more"] if rest > 0 else lines

    def _copy_path(self, did: str) -> Path:
        """Return the file of a script's last text. Half of the DID's hash is enough for a name."""
        return self._folder / f"{did.rpartition(':')[2][:32]}.last"

    def _read_all(self) -> dict[str, dict[str, str]]:
        """Return the stored entries; empty for a missing or broken file, which only costs new DIDs."""
        try:
            found = json.loads(self._file.read_text())
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}


def loop_memory(home: BoxHome) -> LoopMemory:
    """Return the memory of ``run`` of the box at ``home``."""
    return LoopMemory(home.path / "loop")


def _entry_key(path: Path, who: str) -> str:
    """Return the key of an entry. Symbolic links are not resolved: two names of one script are two assets."""
    return f"{who} {path.absolute()}"


def digest(path: Path) -> str:
    """Return the content's SHA-256, in as much memory for a large file as for a small one."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
