"""Stores finished parts under the hash of their inputs: an entry is either complete or absent. Below its
root:

    parts/<part>/<key>/       files of the part and ``manifest.json``, renamed into place when complete
    work/<part>@<key>.<pid>/  a build in progress; what a killed build left is removed by the next one
    locks/<part>.lock         held while a part is built, so that two builds do not make it twice
    logs/<part>.log           what the compilers of the last build said

The key is a hash over everything the part is made from, so a changed recipe never finds an old part. Inode
times are recorded to tell cheaply whether a file was touched since; :meth:`CachedPart.find_damage` with
``thorough`` hashes every byte.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

FORMAT = 1
"""Version of this layout; part of every key, so another layout finds no entry of an older one."""
Damage = Literal["missing", "size", "content", "marked"]
"""Kinds of damage: a file is gone, has another size or other bytes, or ``verify`` marked the whole entry."""


def cache_root() -> Path:
    """Return ``$C2D_BOX_CACHE``, else ``$XDG_CACHE_HOME/c2d-box``, else ``~/.cache/c2d-box``."""
    if own := os.environ.get("C2D_BOX_CACHE"):
        return Path(own).expanduser().absolute()
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    # Absolute, because builds run their tools in other working directories.
    return Path(base).absolute() / "c2d-box"


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hex; the file is read in pieces, since layers are large."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@dataclass(frozen=True, slots=True)
class FileRecord:
    """One file of an entry. For a symbolic link ``link`` is set and the other fields are empty."""

    path: str
    size: int = 0
    sha256: str = ""
    executable: bool = False
    mtime_ns: int = 0
    link: str = ""


@dataclass(frozen=True, slots=True)
class PartManifest:
    """The content of an entry's ``manifest.json``."""

    part: str
    version: str
    key: str
    architecture: str
    seconds: float
    """Seconds that the build of the part took: the estimate for the next build."""
    files: tuple[FileRecord, ...]
    facts: dict[str, Any]
    """Facts that the recipe records: an image's digest, the package versions of a layer."""
    format: int = FORMAT

    @property
    def total_size(self) -> int:
        """Return the bytes of all files together; links count nothing."""
        return sum(record.size for record in self.files)

    @classmethod
    def parse_manifest(cls, text: str) -> PartManifest:
        """Parse a ``manifest.json``; raise ValueError, TypeError or KeyError where it is not one."""
        document = json.loads(text)
        # An unknown field raises TypeError: the entry counts as absent and is built again.
        records = tuple(FileRecord(**record) for record in document.pop("files"))
        return cls(files=records, **document)


@dataclass(frozen=True, slots=True)
class CachedPart:
    """A finished part in the cache. It is read-only by agreement: other boxes may run from the same files."""

    folder: Path
    manifest: PartManifest

    def file_path(self, name: str) -> Path:
        """Return the absolute path of one of the part's files; it is not checked that the file is there."""
        return self.folder / name

    def file_sha256(self, name: str) -> str:
        """Return the recorded hash of one file."""
        return next(record.sha256 for record in self.manifest.files if record.path == name)

    def find_damage(self, *, thorough: bool = False) -> Iterator[tuple[str, Damage]]:
        """Yield the files that differ from the recorded build. Unless ``thorough``, only files whose size or
        time changed are hashed.
        """
        if (self.folder / ".damaged").exists():
            yield "manifest.json", "marked"
        for record in self.manifest.files:
            if found := _damage_of(self.folder / record.path, record, thorough):
                yield record.path, found

    def mark_damaged(self) -> None:
        """Record that ``verify`` found damage, so that the next ``build`` makes the part again."""
        # A cache that cannot be written, such as a mounted one, can still be verified.
        with contextlib.suppress(OSError):
            (self.folder / ".damaged").touch()

    def mark_used(self) -> None:
        """Mark the entry as recently used, so that it is not among the old entries that are dropped."""
        # The time of the manifest orders the entries; a cache that cannot be written drops none anyway.
        with contextlib.suppress(OSError):
            os.utime(self.folder / "manifest.json")


def _damage_of(path: Path, record: FileRecord, thorough: bool) -> Damage | None:
    """Return how a file differs from its record, or None."""
    try:
        # Not stat(): a file replaced by a link to the right content is damage too.
        status = path.lstat()
        if record.link:
            return None if path.is_symlink() and str(path.readlink()) == record.link else "content"
        if not stat.S_ISREG(status.st_mode):
            return "content"
        if status.st_size != record.size:
            return "size"
        # Size and time as recorded mean unchanged. A file that was only touched is hashed, and is well.
        if status.st_mtime_ns == record.mtime_ns and not thorough:
            return None
        return None if digest_of(path) == record.sha256 else "content"
    except FileNotFoundError:
        return "missing"


class BundleCache:
    """The store below one folder. Cheap to create; makes its folders when it writes."""

    def __init__(self, root: Path | None = None) -> None:
        self.root = root or cache_root()

    def part_folder(self, part: str, key: str) -> Path:
        """Return the folder of an entry, whether it exists or not."""
        return self.root / "parts" / part / key

    def free_mib(self) -> int:
        """Return the free MiB on the cache's disk; the root must exist."""
        return shutil.disk_usage(self.root).free >> 20

    def log_path(self, part: str) -> Path:
        """Return the log of the part's last build. There is one per part, not per key."""
        return self.root / "logs" / f"{part}.log"

    def find_part(self, part: str, key: str) -> CachedPart | None:
        """Return the finished entry, or None where it is absent or its manifest is unreadable."""
        folder = self.part_folder(part, key)
        try:
            manifest = PartManifest.parse_manifest((folder / "manifest.json").read_text("utf-8"))
        except (OSError, ValueError, TypeError, KeyError):
            return None
        # A folder that was copied or renamed by hand has the manifest of another key.
        return CachedPart(folder, manifest) if manifest.key == key else None

    def latest_part(self, part: str) -> CachedPart | None:
        """Return this part's entry that was built or used last, whatever its key: a source of estimates."""
        entries = self._by_use(part)
        return self.find_part(part, entries[0].name) if entries else None

    def _by_use(self, part: str) -> list[Path]:
        """Return the folders of a part's entries, those used last first."""

        def used(folder: Path) -> float:
            try:
                return (folder / "manifest.json").stat().st_mtime
            except OSError:
                return 0.0

        home = self.root / "parts" / part
        folders = [folder for folder in home.iterdir() if folder.is_dir()] if home.is_dir() else []
        return sorted(folders, key=used, reverse=True)

    @contextlib.contextmanager
    def lock_part(self, part: str, waiting: Callable[[], None]) -> Iterator[None]:
        """Hold the part's lock. ``waiting`` is called between attempts: it sleeps, and raises to give up."""
        path = self.root / "locks" / f"{part}.lock"
        # The lock file is never deleted: two builds could then hold locks on two files of one name. The
        # kernel releases the lock of a killed process.
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as stream:
            while True:
                try:
                    # Not blocking, so that a cancelled build can stop waiting.
                    fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    waiting()
            yield

    @contextlib.contextmanager
    def open_workspace(self, part: str, key: str) -> Iterator[Path]:
        """Yield an empty folder on the cache's own file system. Call it with the part's lock held."""
        # The lock is held, so whoever made these folders is no longer at work.
        for stale in (self.root / "work").glob(f"{part}@*"):
            remove_tree(stale)
        # On the same file system as the store: the rename that publishes the part is then atomic.
        folder = self.root / "work" / f"{part}@{key[:12]}.{os.getpid()}"
        folder.mkdir(parents=True)
        try:
            yield folder
        finally:
            remove_tree(folder)

    def publish_part(self, built: Path, manifest: PartManifest, keep: int = 2) -> CachedPart:
        """Move a finished folder into the store in one rename, replacing a damaged one.

        Of the part's entries the ``keep`` used last stay, so that switching between versions is cheap.
        """
        (built / "manifest.json").write_text(json.dumps(asdict(manifest), indent=1) + "\n", "utf-8")
        target = self.part_folder(manifest.part, manifest.key)
        target.parent.mkdir(parents=True, exist_ok=True)
        # rename() does not replace a folder that has files, so the damaged one moves away first.
        if target.exists():
            doomed = self.root / "work" / f"{manifest.part}@replaced.{os.getpid()}"
            target.rename(doomed)
            built.rename(target)
            remove_tree(doomed)
        else:
            built.rename(target)
        # The new entry's manifest is the newest and is never among the dropped ones.
        for old in self._by_use(manifest.part)[keep:]:
            remove_tree(old)
        return CachedPart(target, manifest)


def records_of(folder: Path) -> tuple[FileRecord, ...]:
    """Describe every file below ``folder``, sorted by path. Empty folders are not recorded."""
    found: list[FileRecord] = []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            found.append(FileRecord(name, link=str(path.readlink())))
        elif path.is_file():
            status = path.stat()
            executable = bool(status.st_mode & 0o100)
            found.append(FileRecord(name, status.st_size, digest_of(path), executable, status.st_mtime_ns))
    return tuple(found)


def remove_tree(path: Path) -> None:
    """Delete a folder tree. Files that cannot be deleted stay for the next build to try; they are no reason
    to fail this one.
    """
    shutil.rmtree(path, ignore_errors=True)
