"""Walking a folder that an enemy has filled: by descriptors, without following anything, within limits."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from c2d_box.pods.judge import archives

CHUNK = 1 << 20
DEPTH = 32
NAME_BYTES, PATH_BYTES = 255, 1024
HOLES_FREE = 1 << 20
"""Files up to so many bytes may have holes."""
REFUSALS = 100
"""So many are listed; one is enough to refuse all."""


@dataclass(frozen=True, slots=True)
class Limits:
    files: int
    bytes: int
    log_bytes: int


@dataclass(frozen=True, slots=True)
class Accepted:
    """``path`` relative to the folder walked."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Refused:
    path: str
    reason: str


@dataclass(slots=True)
class Verdict:
    accepted: list[Accepted]
    refused: list[Refused]


class _Budget:
    def __init__(self, limits: Limits) -> None:
        self.entries = limits.files
        self.bytes = limits.bytes
        self.unpacked = limits.bytes


def examine(root: Path, limits: Limits, skip: frozenset[str] = frozenset()) -> Verdict:
    """Every file below ``root`` in order of their names, sub-folders included; ``skip``: names at the top."""
    verdict = Verdict([], [])
    budget = _Budget(limits)
    try:
        folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError as error:
        return Verdict([], [Refused("", f"the folder cannot be read: {error.strerror}")])
    try:
        for finding in _folder(folder, "", budget, 0, skip):
            if isinstance(finding, Accepted):
                verdict.accepted.append(finding)
            else:
                verdict.refused.append(finding)
                if len(verdict.refused) >= REFUSALS:
                    break
    finally:
        os.close(folder)
    if verdict.refused:
        verdict.accepted = []
    return verdict


def _folder(
    folder: int, path: str, budget: _Budget, depth: int, skip: frozenset[str]
) -> Iterator[Accepted | Refused]:
    if depth > DEPTH:
        yield Refused(printable(path), f"more than {DEPTH} folders deep")
        return
    names = _names(folder, budget)
    if names is None:
        yield Refused(printable(path), "too many files and folders")
        return
    for raw in names:
        name, problem = judge_name(raw)
        full = f"{path}/{name}" if path else name
        if problem is None and len(full.encode()) > PATH_BYTES:
            problem = "its path is too long"
        if problem is not None:
            yield Refused(printable(full), problem)
        elif depth or name not in skip:
            yield from _entry(folder, raw, full, budget, depth)


def _names(folder: int, budget: _Budget) -> list[bytes] | None:
    """What is in the folder, sorted; None where it is more than may be, without having read all of it."""
    found: list[bytes] = []
    with os.scandir(folder) as entries:
        for entry in entries:
            budget.entries -= 1
            if budget.entries < 0:
                return None
            found.append(os.fsencode(entry.name))
    return sorted(found)


def _entry(folder: int, raw: bytes, full: str, budget: _Budget, depth: int) -> Iterator[Accepted | Refused]:
    try:
        facts = os.stat(raw, dir_fd=folder, follow_symlinks=False)
        if stat.S_ISDIR(facts.st_mode):
            inner = os.open(raw, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
            try:
                yield from _folder(inner, full, budget, depth + 1, frozenset())
            finally:
                os.close(inner)
        else:
            yield _file(folder, raw, full, facts, budget)
    except OSError as error:
        yield Refused(printable(full), f"it cannot be read: {error.strerror}")


def _file(folder: int, raw: bytes, full: str, facts: os.stat_result, budget: _Budget) -> Accepted | Refused:
    if not stat.S_ISREG(facts.st_mode):
        return Refused(printable(full), _kind(facts.st_mode))
    if facts.st_nlink > 1:
        return Refused(printable(full), "a hard link")
    if facts.st_size > budget.bytes:
        return Refused(printable(full), "the outputs are too big")
    budget.bytes -= facts.st_size
    handle = os.open(raw, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY, dir_fd=folder)
    with os.fdopen(handle, "rb") as file:
        opened = os.fstat(file.fileno())
        if (opened.st_ino, opened.st_dev) != (facts.st_ino, facts.st_dev):
            return Refused(printable(full), "it changed while it was judged")
        if _mostly_holes(file.fileno(), facts.st_size):
            return Refused(printable(full), "a sparse file: most of its bytes were never written")
        size, digest = _hash(file.fileno(), facts.st_size)
        if size != facts.st_size:
            return Refused(printable(full), "it changed while it was judged")
        problem = archives.problem(file, size, budget.unpacked)
    return Refused(printable(full), problem) if problem else Accepted(full, size, digest)


def _mostly_holes(handle: int, size: int) -> bool:
    """Holes cost the algorithm nothing and whoever stores or fetches the file its full size."""
    if size <= HOLES_FREE:
        return False
    written, at = 0, 0
    while at < size:
        try:
            begin = os.lseek(handle, at, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # only a hole is left
                break
            return False  # this file system knows no holes
        at = os.lseek(handle, begin, os.SEEK_HOLE)
        written += at - begin
    os.lseek(handle, 0, os.SEEK_SET)
    return written * 2 < size


def _hash(handle: int, expected: int) -> tuple[int, str]:
    """Reads one byte more than expected at most: a file that grows for ever is seen, not read for ever."""
    digest, size = hashlib.sha256(), 0
    buffer = memoryview(bytearray(CHUNK))
    while size <= expected:
        count = os.readv(handle, [buffer[: min(CHUNK, expected + 1 - size)]])
        if count == 0:
            break
        digest.update(buffer[:count])
        size += count
    return size, digest.hexdigest()


def judge_name(raw: bytes) -> tuple[str, str | None]:
    """The name as text and what is wrong with it: names travel into URLs, headers, shells and terminals."""
    try:
        name = raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("utf-8", "backslashreplace"), "its name is not UTF-8"
    if len(raw) > NAME_BYTES:
        return name, "its name is too long"
    if not name.isprintable() or any(unicodedata.category(char) in ("Cf", "Co") for char in name):
        return name, "its name has hidden characters"
    if unicodedata.normalize("NFC", name) != name:
        return name, "its name is not in normal form (NFC)"
    if name != name.strip() or "\\" in name:
        return name, "its name has a blank at an end or a backslash"
    return name, None


def printable(text: str) -> str:
    """For reports: ASCII, and not longer than a path may be."""
    return text.encode("unicode_escape").decode("ascii")[:PATH_BYTES]


def _kind(mode: int) -> str:
    if stat.S_ISLNK(mode):
        return "a symbolic link"
    if stat.S_ISFIFO(mode):
        return "a pipe"
    if stat.S_ISSOCK(mode):
        return "a socket"
    return "a device" if stat.S_ISBLK(mode) or stat.S_ISCHR(mode) else "not a regular file"
