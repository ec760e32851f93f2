"""What the loop published before: by path and account, so that the same command finds its assets again.

A file that is lost or broken costs nothing but new DIDs. The text of a script as it was last published is
kept beside it: who is asked to permit a new version wants to see what changed.
"""

from __future__ import annotations

import difflib
import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from sandbox.home import replace_file

LONGEST_DIFF = 60


@dataclass(frozen=True, slots=True)
class Known:
    """An asset of the loop. ``sha256`` is of the content that is published; ``how`` says image and
    entrypoint of an algorithm.
    """

    did: str
    sha256: str
    how: str = ""


class Memory:
    """A folder in the box's home."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = folder / "assets.json"

    def get(self, path: Path, who: str) -> Known | None:
        """What ``who`` published from ``path``."""
        entry = self._all().get(_key(path, who))
        try:
            return Known(**entry) if entry else None
        except TypeError:
            return None

    def put(self, path: Path, who: str, known: Known) -> None:
        """Remember it, with its text as it is now."""
        entries = {**self._all(), _key(path, who): asdict(known)}
        replace_file(self._file, json.dumps(entries, indent=2) + "\n")
        self._copy(known.did).write_bytes(path.read_bytes())

    def changes(self, path: Path, known: Known | None) -> list[str]:
        """What is different from the version published last, as a unified diff; empty without one."""
        if known is None or not self._copy(known.did).exists():
            return []
        before = self._copy(known.did).read_text(errors="replace").splitlines()
        now = path.read_text(errors="replace").splitlines()
        lines = list(difflib.unified_diff(before, now, "permitted before", path.name, lineterm="", n=1))
        rest = len(lines) - LONGEST_DIFF
        return [*lines[:LONGEST_DIFF], f"… and {rest} lines more"] if rest > 0 else lines

    def _copy(self, did: str) -> Path:
        return self._folder / f"{did.rpartition(':')[2][:32]}.last"

    def _all(self) -> dict[str, dict[str, str]]:
        try:
            found = json.loads(self._file.read_text())
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}


def _key(path: Path, who: str) -> str:
    return f"{who} {path.absolute()}"


def digest(path: Path) -> str:
    """The content's SHA-256."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
