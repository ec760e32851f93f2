"""Archives among the outputs: unpacked here, within a budget and to nowhere, so that they harm nobody later.

A few kilobytes may unpack to gigabytes; the consumer's computer should not be the first to find out. What
cannot be looked into may not leave: encrypted archives, formats without a reader here, archives nested too
deep, damaged ones. A compressed stream that ends early is let through: what is in it has been counted, and a
job that was stopped may leave one.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO, BinaryIO, cast

from c2d_box.pods.judge.formats import READABLE, archive_kind

CHUNK = 1 << 18
"""Bytes that are unpacked at a time, so that a bomb costs no more memory than any other archive."""
RATIO, FREE = 250, 64 << 20
"""An archive that unpacks to more than ``RATIO`` times its size is a bomb, once that is more than ``FREE``
bytes."""
DEPTH = 3
"""Archives within archives that are opened: in a nested bomb each level multiplies what the last
one holds."""
NESTED = 32 << 20
"""The most bytes of an archive within an archive that are looked into: they are held in memory."""
MEMBERS = 50_000
"""Files of one zip at most; each is opened and unpacked for itself."""
DIRECTORY = 16 << 20
"""Bytes of a zip's list of members at most; it is read at once."""
XZ_MEMORY = 96 << 20
"""Bytes that xz may take: its header chooses up to 4 GiB, and the judge's container has 256 MiB."""


class _ArchiveRefused(Exception):
    """Carries the reason why an archive may not leave."""


class _UnpackBudget:
    """The bytes that may be unpacked, shared by an archive and all that is nested in it."""

    def __init__(self, packed: int, limit: int) -> None:
        # Text compresses well: a small archive may unpack to FREE bytes at any ratio.
        self._most = min(limit, max(FREE, RATIO * packed))
        self._limit = limit
        self._spent = 0

    def spend_bytes(self, count: int) -> None:
        """Count unpacked bytes; raise _ArchiveRefused as soon as they are more than may be."""
        self._spent += count
        if self._spent > self._limit:
            raise _ArchiveRefused("an archive that unpacks to more than the outputs may be")
        if self._spent > self._most:
            raise _ArchiveRefused(f"an archive that unpacks to more than {RATIO} times its size")


class _ZipSource(io.RawIOBase):
    """A file as zipfile reads it, with a bound on the list of members.

    The reader takes all that the list says it has, and makes an object of each entry before anybody can count
    them; a list that is too long has to end at its reading.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def read(self, size: int = -1) -> bytes:
        if size > DIRECTORY:
            raise _ArchiveRefused(f"a zip whose list of files is larger than {DIRECTORY >> 20} MiB")
        data = self._file.read(size)
        # Each entry begins with these bytes, or the reader stops there; members are read in smaller pieces.
        if len(data) > CHUNK and data.count(b"PK\x01\x02") > MEMBERS:
            raise _ArchiveRefused(f"a zip of more than {MEMBERS} files")
        return data


def archive_problem(file: BinaryIO, size: int, limit: int) -> str | None:
    """Return why the file may not leave; None where it is no archive or a harmless one.

    ``size`` and ``limit`` (what it may unpack to, all in all) in bytes.
    """
    try:
        _examine_archive(file, _UnpackBudget(size, limit), 0)
    except _ArchiveRefused as refused:
        return str(refused)
    return None


def _examine_archive(file: BinaryIO, budget: _UnpackBudget, depth: int) -> None:
    """Look into what may be an archive; raise _ArchiveRefused. The kind comes from the content, never from
    the name."""
    kind = archive_kind(file)
    if kind is None:
        return
    # Only archives count: a plain file at any depth has ended above.
    if depth > DEPTH:
        raise _ArchiveRefused(
            f"archives nested more than {DEPTH} deep: it cannot be known what it unpacks to"
        )
    if kind not in READABLE:
        raise _ArchiveRefused(f"a {kind} archive, which cannot be looked into; {', '.join(READABLE)} can")
    if kind == "zip":
        _examine_zip(file, budget, depth)
    else:
        _examine_member(_unpack_stream(file, kind), budget, depth)


def _unpack_stream(file: BinaryIO, kind: str) -> Iterator[bytes]:
    """Yield what a gzip, bzip2 or xz stream unpacks to, piece by piece."""
    file.seek(0)
    opened: Iterator[bytes]
    if kind == "xz":
        opened = _unpack_xz(file)
    else:
        reader = gzip.GzipFile(fileobj=file, mode="rb") if kind == "gzip" else bz2.BZ2File(file)
        # Both readers go on with a further stream behind the first: consumers' tools do, too.
        opened = iter(lambda: reader.read(CHUNK), b"")
    try:
        yield from opened
    except EOFError:
        return  # cut off: what there is has been counted
    except (OSError, zlib.error) as error:
        raise _ArchiveRefused(f"a damaged {kind} archive, which cannot be looked into") from error


def _unpack_xz(file: BinaryIO) -> Iterator[bytes]:
    """Unpack within bounded memory, which the reader of the standard library does not offer."""
    # ``lzma.LZMAFile`` takes no limit of memory.
    unpacker = lzma.LZMADecompressor(lzma.FORMAT_XZ, XZ_MEMORY)
    while True:
        packed = file.read(CHUNK) if unpacker.needs_input else b""
        if unpacker.needs_input and not packed:
            return
        try:
            data = unpacker.decompress(packed, CHUNK)
        except lzma.LZMAError as error:
            # The module has one exception for everything; only liblzma's text tells this case.
            if "emory" in str(error):
                raise _ArchiveRefused(
                    "an xz archive that takes more memory to unpack than there is"
                ) from None
            raise _ArchiveRefused("a damaged xz archive, which cannot be looked into") from error
        yield data
        if unpacker.eof:
            # Zero bytes after a stream are padding by the format; a second stream would be unpacked by
            # readers and not here.
            rest = unpacker.unused_data.lstrip(b"\0")
            if not rest:
                return
            raise _ArchiveRefused("an xz archive of several parts, which cannot be looked into")


def _examine_zip(file: BinaryIO, budget: _UnpackBudget, depth: int) -> None:
    """Look into each member of a zip. All that ``zipfile`` raises for strange files is a refusal: it has no
    one exception for them, and NotImplementedError stands for a compression that it does not know."""
    try:
        with zipfile.ZipFile(cast("IO[bytes]", _ZipSource(file))) as archive:
            members = archive.infolist()
            _check_plausible(file, members)
            for member in members:
                with archive.open(member) as inner:
                    _examine_member(iter(lambda: inner.read(CHUNK), b""), budget, depth)
    except (zipfile.BadZipFile, NotImplementedError, EOFError, OSError, RuntimeError, ValueError) as error:
        raise _ArchiveRefused("a zip that cannot be looked into") from error
    except (zlib.error, lzma.LZMAError) as error:
        raise _ArchiveRefused("a zip that cannot be looked into") from error


def _check_plausible(file: BinaryIO, members: list[zipfile.ZipInfo]) -> None:
    """Refuse, before anything is unpacked, encrypted members and members that share their bytes: a zip whose
    entries overlap unpacks to far more than any one of them shows."""
    if any(member.flag_bits & 1 for member in members):
        raise _ArchiveRefused("an encrypted zip, which cannot be looked into")
    size = file.seek(0, io.SEEK_END)
    if sum(member.compress_size for member in members) > size:
        raise _ArchiveRefused("a zip whose files overlap: it unpacks to more than it holds")


def _examine_member(pieces: Iterator[bytes], budget: _UnpackBudget, depth: int) -> None:
    """Count what comes out; a member that is an archive itself is kept and looked into."""
    # A member is held until its kind is known, and on only if it is an archive: zip needs its end first, so
    # nested ones have to be in memory as a whole.
    held, looked, kept = io.BytesIO(), False, True
    for piece in pieces:
        budget.spend_bytes(len(piece))
        if kept:
            if held.tell() + len(piece) > NESTED:
                raise _ArchiveRefused("an archive within an archive, too big to look into")
            held.write(piece)
        if not looked and held.tell() >= CHUNK:
            # The kind moves the position; writing has to go on at the end.
            looked, kept = True, archive_kind(held) is not None
            held.seek(0, io.SEEK_END)
    if kept:
        _examine_archive(held, budget, depth + 1)
