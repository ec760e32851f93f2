"""Walks a folder that an enemy has filled: by descriptors, without following anything, within limits."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from c2d_box.limits import PATH_BYTES, REFUSED_LISTED, REFUSED_PATH_CHARACTERS, shortened_text
from c2d_box.pods.judge import archives
from c2d_box.workflow.filenames import judge_name, with_number

CHUNK = 1 << 20
"""Bytes hashed at a time."""
DEPTH = 32
"""Folders within folders; each open one costs a descriptor and a level of Python's stack."""
HOLES_FREE = 1 << 20
"""Files up to so many bytes may have holes."""
COUNTED = 100_000
"""Entries of one folder that are counted where they are too many; more are not read."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of a job's outputs."""

    files: int
    bytes: int
    log_bytes: int


@dataclass(frozen=True, slots=True)
class AcceptedFile:
    """An output that may leave. ``path``: relative to the folder walked, as the consumer gets it;
    ``on_disk``: as it is there."""

    path: str
    size: int
    sha256: str
    on_disk: str


@dataclass(frozen=True, slots=True)
class RefusedFile:
    """An output that may not leave. ``path``: as it is reported; ``name``: the whole path, of which a digest
    may be told; ``figures``: the reason without numbers that the algorithm chose, where it has any."""

    path: str
    reason: str
    name: str = ""
    figures: str | None = None

    @property
    def path_digest(self) -> str:
        """The SHA-256 of the whole path, also of one that is no UTF-8, as ``sha256sum`` gives it for common
        names."""
        return hashlib.sha256(self.name.encode("utf-8", "backslashreplace")).hexdigest()

    def as_report(self) -> dict[str, str]:
        """Return the refusal as the report to the engine has it, without name and digest."""
        return {"path": self.path, "reason": self.reason}


@dataclass(slots=True)
class OutputsVerdict:
    """The outputs that may leave and those that may not. ``refused`` holds the first of these,
    ``refused_count`` is how many there are."""

    accepted: list[AcceptedFile] = field(default_factory=list)
    refused: list[RefusedFile] = field(default_factory=list)
    refused_count: int = 0

    def add_refusal(self, finding: RefusedFile) -> None:
        """Count a refusal. Only the first ones are kept, because their list stands in the WorkFlow, which
        has limits."""
        self.refused_count += 1
        if len(self.refused) < REFUSED_LISTED:
            self.refused.append(finding)


class _OutputsBudget:
    """The limits on what all folders may hold together, and what has been counted so far."""

    def __init__(self, limits: Limits) -> None:
        self.most = limits.files
        self.entries = limits.files
        self.bytes = limits.bytes
        # An archive may unpack to as much as all outputs may be; each archive for itself.
        self.unpacked = limits.bytes
        self.path_bytes = PATH_BYTES
        self.files: set[str] = set()
        self.folders: set[str] = set()

    def place_path(self, path: str, *, folder: bool = False) -> str:
        """Return the path for the consumer: numbered where another name became the same by normalisation."""
        wanted, number = path, 1
        # Two names that differ in normalisation only are two files on the disk and one for the consumer.
        while path in self.files or (not folder and path in self.folders):
            number += 1
            path = with_number(wanted, number)
        (self.folders if folder else self.files).add(path)
        return path


def examine_folder(root: Path, limits: Limits, skip: frozenset[str] = frozenset()) -> OutputsVerdict:
    """Examine every file below ``root`` in order of their names, sub-folders included; ``skip``: names at the
    top."""
    return examine_folders([(root, "", skip)], limits)


def examine_folders(folders: Sequence[tuple[Path, str, frozenset[str]]], limits: Limits) -> OutputsVerdict:
    """Examine several folders, within limits that hold for all of them together. Each comes with what its
    paths begin with and with the names at its top to skip."""
    verdict, budget = OutputsVerdict(), _OutputsBudget(limits)
    for root, prefix, skip in folders:
        for finding in _walk_root(root, prefix, budget, skip):
            if isinstance(finding, AcceptedFile):
                verdict.accepted.append(finding)
            else:
                verdict.add_refusal(finding)
    # A caller cannot send a part of the outputs by mistake: there are none any more.
    if verdict.refused:
        verdict.accepted = []
    return verdict


def _walk_root(
    root: Path, prefix: str, budget: _OutputsBudget, skip: frozenset[str]
) -> Iterator[AcceptedFile | RefusedFile]:
    """Walk one folder from a descriptor of it. A folder that is a link, or is not there, is a finding too."""
    try:
        folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError as error:
        yield _refused_file(prefix, f"the folder cannot be read: {error.strerror}")
        return
    # The limit is on the path below the folder, as the consumer gets it.
    budget.path_bytes = PATH_BYTES + (len(prefix) + 1 if prefix else 0)
    try:
        yield from _walk_folder(folder, _OutputPath(prefix, prefix), budget, 0, skip)
    finally:
        os.close(folder)


@dataclass(frozen=True, slots=True)
class _OutputPath:
    """A path as the consumer sees it and as it is on the disk."""

    path: str
    on_disk: str

    def child_path(self, name: str, on_disk: str) -> _OutputPath:
        """Return the path of an entry: ``name`` for the consumer, ``on_disk`` as it is there."""
        return _OutputPath(_join_path(self.path, name), _join_path(self.on_disk, on_disk))


def _join_path(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def _walk_folder(
    folder: int, at: _OutputPath, budget: _OutputsBudget, depth: int, skip: frozenset[str]
) -> Iterator[AcceptedFile | RefusedFile]:
    """Walk an open folder and yield a finding for each file below it. Entries are opened relative to the
    descriptor, so no part of a path can be a link that leads elsewhere."""
    if depth > DEPTH:
        yield _refused_file(at.path, f"more than {DEPTH} folders deep")
        return
    names, problem = _list_names(folder, budget, skip if depth == 0 else frozenset())
    if problem is not None:
        yield _refused_file(at.path, problem, "too many files and folders")
        return
    # Names are bytes until they are judged: not every one is UTF-8.
    for raw in names:
        name, problem = judge_name(raw)
        full = at.child_path(name, raw.decode("utf-8", "replace"))
        if problem is None and len(full.path.encode()) > budget.path_bytes:
            problem = f"its path is longer than {PATH_BYTES} bytes"
        if problem is not None:
            yield _refused_file(full.path, problem)
        else:
            yield from _examine_entry(folder, raw, full, budget, depth)


def _list_names(folder: int, budget: _OutputsBudget, skip: frozenset[str]) -> tuple[list[bytes], str | None]:
    """Return what is in the folder, sorted; where it is more than may be, also the reason, without having
    read all of it."""
    found: list[bytes] = []
    count = 0
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name in skip:
                continue
            count += 1
            # A folder of millions of entries would be read for minutes only to say its number.
            if count > COUNTED:
                break
            # Names beyond the limit are counted and not kept: memory stays bounded.
            if count <= budget.entries:
                found.append(os.fsencode(entry.name))
    used = budget.most - budget.entries
    budget.entries -= count
    if count and budget.entries < 0:
        # The number is the algorithm's choice; under rules the reason goes without it.
        many = f"more than {COUNTED}" if count > COUNTED else str(count)
        rest = f", after {used} elsewhere" if used else ""
        return [], f"it holds {many} files and folders{rest}: {budget.most} may leave in all"
    # Sorted, because an index of results has to mean the same file each time.
    return sorted(found), None


def _examine_entry(
    folder: int, raw: bytes, at: _OutputPath, budget: _OutputsBudget, depth: int
) -> Iterator[AcceptedFile | RefusedFile]:
    """Examine one entry: a folder is walked, anything else is a file or a refusal."""
    try:
        # ``follow_symlinks=False``: the entry itself is examined, not what it points to.
        facts = os.stat(raw, dir_fd=folder, follow_symlinks=False)
        if stat.S_ISDIR(facts.st_mode):
            # O_NOFOLLOW, in case the folder became a link after the ``stat``.
            inner = os.open(raw, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
            try:
                place = _OutputPath(budget.place_path(at.path, folder=True), at.on_disk)
                yield from _walk_folder(inner, place, budget, depth + 1, frozenset())
            finally:
                os.close(inner)
        else:
            yield _examine_file(folder, raw, at, facts, budget)
    except OSError as error:
        yield _refused_file(at.path, f"it cannot be read: {error.strerror}")


def _examine_file(
    folder: int, raw: bytes, at: _OutputPath, facts: os.stat_result, budget: _OutputsBudget
) -> AcceptedFile | RefusedFile:
    """Examine one file: its kind, links and size, then its content. Everything read is checked to be the
    file that was judged, since the volume was the algorithm's."""
    if not stat.S_ISREG(facts.st_mode):
        return _refused_file(at.path, _kind_name(facts.st_mode))
    # One content would be counted and sent as often as it has names.
    if facts.st_nlink > 1:
        return _refused_file(at.path, "a hard link")
    if facts.st_size > budget.bytes:
        return _refused_file(at.path, "the outputs are too big")
    budget.bytes -= facts.st_size
    # O_NONBLOCK: a pipe that took the file's place would block the open for ever.
    handle = os.open(raw, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY, dir_fd=folder)
    with os.fdopen(handle, "rb") as file:
        opened = os.fstat(file.fileno())
        # Between ``stat`` and ``open`` another file may have taken the name.
        if (opened.st_ino, opened.st_dev) != (facts.st_ino, facts.st_dev):
            return _refused_file(at.path, "it changed while it was judged")
        if _mostly_holes(file.fileno(), facts.st_size):
            return _refused_file(at.path, "a sparse file: most of its bytes were never written")
        size, digest = _hash_file(file.fileno(), facts.st_size)
        if size != facts.st_size:
            return _refused_file(at.path, "it changed while it was judged")
        problem = archives.archive_problem(file, size, budget.unpacked)
    if problem is not None:
        return _refused_file(at.path, problem)
    return AcceptedFile(budget.place_path(at.path), size, digest, at.on_disk)


def _mostly_holes(handle: int, size: int) -> bool:
    """Return whether the file is mostly holes: they cost the algorithm nothing, and whoever stores or fetches
    the file its full size."""
    if size <= HOLES_FREE:
        return False
    written, at = 0, 0
    while at < size:
        try:
            # Not ``st_blocks``: on a file system that compresses a file without holes has few blocks.
            begin = os.lseek(handle, at, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # only a hole is left
                break
            return False  # this file system knows no holes
        at = os.lseek(handle, begin, os.SEEK_HOLE)
        written += at - begin
    # The hash reads on from the position of this descriptor.
    os.lseek(handle, 0, os.SEEK_SET)
    return written * 2 < size


def _hash_file(handle: int, expected: int) -> tuple[int, str]:
    """Hash a file. At most one byte more than expected is read: a file that grows for ever is noticed, not
    read for ever."""
    digest, size = hashlib.sha256(), 0
    buffer = memoryview(bytearray(CHUNK))
    while size <= expected:
        count = os.readv(handle, [buffer[: min(CHUNK, expected + 1 - size)]])
        if count == 0:
            break
        digest.update(buffer[:count])
        size += count
    return size, digest.hexdigest()


def _refused_file(path: str, reason: str, figures: str | None = None) -> RefusedFile:
    """Return a refusal. ``figures``: the reason to give under rules, where the full one has numbers."""
    return RefusedFile(printable_path(path), reason, path, figures)


def printable_path(text: str) -> str:
    """Return the text for reports: in ASCII, and shortened in its middle."""
    return shortened_text(text.encode("unicode_escape").decode("ascii"), REFUSED_PATH_CHARACTERS)


def _kind_name(mode: int) -> str:
    """Return in words the kind of an entry that is no regular file; the consumer reads it."""
    if stat.S_ISLNK(mode):
        return "a symbolic link"
    if stat.S_ISFIFO(mode):
        return "a pipe"
    if stat.S_ISSOCK(mode):
        return "a socket"
    return "a device" if stat.S_ISBLK(mode) or stat.S_ISCHR(mode) else "not a regular file"
