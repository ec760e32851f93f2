"""Loads a bundle file from a disk or over HTTP; everything is checked before anything in the cache changes.

Files are unpacked into a staging folder in the cache, each checked against the manifest; what an interrupted
attempt had brought is kept and used. Only when all are there do they move into place, part by part, each in
one rename.
"""

from __future__ import annotations

import hashlib
import io
import lzma
import posixpath
import time
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast

from c2d_box.errors import C2DError, EnvironmentProblem, Failed, UsageError
from c2d_box.proxies import may_use_proxy
from c2d_box.strict_json import JsonLimits, parse_object
from sandbox.bundle.cache import BundleCache, FileRecord, PartManifest, digest_of, remove_tree
from sandbox.bundle.parts import catalogue
from sandbox.bundle.parts.recipe import machine_architecture
from sandbox.bundle.schedule import find_intact
from sandbox.bundle.transfer.export import FORMAT, MANIFEST, SEAL
from sandbox.progress import Progress, ProgressEvent

MAX_MANIFEST = 16 << 20
"""Largest manifest in bytes; a larger one is refused before it is read."""
# Far above what a bundle has, which is six values for each file; strict_json's default is lower.
_MANIFEST_LIMITS = JsonLimits(size_bytes=MAX_MANIFEST, values=2_000_000)
CHUNK = 1 << 20
"""Bytes read at a time, from a disk and over the network."""
_UNREADABLE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError)
"""Errors that zipfile raises for a damaged file; one that looks encrypted, or packed otherwise, is a
RuntimeError.
"""
_AGAIN = "Copy or download it again, and compare with the checksum of whoever made it."


@dataclass(frozen=True, slots=True)
class BundleContents:
    """The manifest of a bundle file, its hash checked."""

    architecture: str
    kubernetes: str
    c2d_box: str
    parts: tuple[PartManifest, ...]
    wheels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LoadedBundle:
    """The parts that were loaded."""

    source: str
    parts: tuple[str, ...]
    already: tuple[str, ...]
    bytes: int


@dataclass(frozen=True, slots=True)
class PartDifference:
    """One part compared between the source and this machine's cache."""

    name: str
    state: str
    """``same``, ``other`` (another version of it), ``only here`` or ``only there``."""
    here: str
    there: str
    bytes: int
    """Bytes that loading would bring."""


def load_bundle(source: str, *, cache: BundleCache | None = None) -> Progress[LoadedBundle]:
    """Bring the bundle at ``source`` (path or URL) into the cache. Resumable; if it is refused, nothing
    changes.
    """
    cache = cache or BundleCache()
    with _open_archive(source) as archive:
        held = read_contents(archive, source)
        # Refusals come before anything is written: another machine, another version, too little room.
        _require_fit(held, source)
        new = [part for part in held.parts if find_intact(cache, part.part, part.key) is None]
        for part in new:
            _require_own_paths(part, source)
        _require_room(cache, new)
        # Named by the manifest's hash: the next attempt with the same file finds what has arrived, and
        # another file does not.
        room = cache.root / "work" / f"arriving@{_read_seal(archive)[:16]}"
        yield from _unpack_parts(archive, new, room, source)
        # All parts are here and checked; from here on only renames are left.
        for part in new:
            _commit_part(cache, part, room / part.part)
            yield ProgressEvent(f"bundle.{part.part}", "done", part.version)
        # Not in a finally block: an interrupted load leaves the staging folder for the next attempt.
        remove_tree(room)
    names = tuple(part.part for part in new)
    already = tuple(part.part for part in held.parts if part.part not in names)
    return LoadedBundle(source, names, already, sum(part.total_size for part in new))


def compare_bundles(source: str, *, cache: BundleCache | None = None) -> list[PartDifference]:
    """Compare what ``source`` holds with what the cache holds for this version of c2d-box."""
    cache = cache or BundleCache()
    recipes = [recipe for recipe in catalogue.chosen_recipes(None) if catalogue.is_product(recipe)]
    keys = catalogue.content_keys(catalogue.chosen_recipes(None), machine_architecture())
    with _open_archive(source) as archive:
        # No check of fit: comparing with a bundle of another version is what this is for.
        there = {part.part: part for part in read_contents(archive, source).parts}
    found = []
    # The catalogue's order, then parts that only the source has.
    for name in dict.fromkeys([*(recipe.name for recipe in recipes), *there]):
        here = find_intact(cache, name, keys[name]) if name in keys else None
        other = there.get(name)
        mine = f"{here.manifest.version} {here.manifest.key[:12]}" if here else ""
        theirs = f"{other.version} {other.key[:12]}" if other else ""
        state = _part_state(mine, theirs)
        found.append(
            PartDifference(name, state, mine, theirs, other.total_size if other and state != "same" else 0)
        )
    return found


def _part_state(here: str, there: str) -> str:
    """Return how the two versions of a part relate; an empty text stands for a part that is absent."""
    if not there:
        return "only here"
    if not here:
        return "only there"
    return "same" if here == there else "other"


def bundle_contents(source: str) -> BundleContents:
    """Return what the bundle at ``source`` holds."""
    with _open_archive(source) as archive:
        return read_contents(archive, source)


def read_contents(archive: zipfile.ZipFile, source: str) -> BundleContents:
    """Return the manifest, its hash checked; raise a coded error where this is no bundle file or a damaged
    one.
    """
    try:
        # By the directory of the archive, before a byte is unpacked.
        if archive.getinfo(MANIFEST).file_size > MAX_MANIFEST:
            raise ValueError("the manifest is too large")
        text = archive.read(MANIFEST)
        seal = _read_seal(archive)
    except KeyError as cause:
        raise UsageError(
            "C2D-BUNDLE-FILE",
            f"{source} is no bundle file: it has no manifest.",
            "Make one: c2d-box bundle save",
        ) from cause
    except (*_UNREADABLE, OSError, ValueError) as cause:
        raise _damaged_file(source, MANIFEST) from cause
    # This finds damage, not forgery: whoever writes another manifest can write its hash too.
    if hashlib.sha256(text).hexdigest() != seal:
        raise _damaged_file(source, MANIFEST)
    try:
        return _parse_contents(parse_object(text, _MANIFEST_LIMITS), source)
    except (AttributeError, KeyError, TypeError, ValueError) as cause:
        raise _damaged_file(source, MANIFEST) from cause


def _parse_contents(document: dict[str, Any], source: str) -> BundleContents:
    """Return the contents from the parsed manifest; the caller gives errors of its form a code."""
    # Before the rest is parsed: a newer format may have other fields.
    if document["format"] > FORMAT:
        raise UsageError(
            "C2D-BUNDLE-FILE-NEWER",
            f"{source} was written by a newer c2d-box ({document['c2dBox']}).",
            "Update c2d-box: `python3 FILE` installs the one it carries.",
        )
    return BundleContents(
        document["architecture"],
        document["kubernetes"],
        document["c2dBox"],
        tuple(_part_manifest(part) for part in document["parts"]),
        tuple(wheel["name"] for wheel in document["wheels"]),
    )


def _read_seal(archive: zipfile.ZipFile) -> str:
    """Return the hash that the file says its manifest has."""
    return archive.read(SEAL).decode("ascii", "replace").strip()


def _part_manifest(document: dict[str, Any]) -> PartManifest:
    """Return a part's manifest from its document; unknown fields raise TypeError."""
    files = tuple(FileRecord(**record) for record in document.pop("files"))
    return PartManifest(files=files, **document)


def _require_fit(contents: BundleContents, source: str) -> None:
    """Raise where the parts are not those of this c2d-box on this machine. Their keys would never be looked
    up, so loading them would only take room.
    """
    here = machine_architecture()
    if contents.architecture != here:
        raise UsageError(
            "C2D-BUNDLE-FILE-ARCHITECTURE",
            f"{source} is for {contents.architecture}; this machine is {here}.",
            f"Get the bundle file for {here}, or make it on such a machine with `c2d-box bundle save`.",
        )
    # All parts, optional ones too: the file may have been saved with kind or the node image.
    keys = catalogue.content_keys(catalogue.chosen_recipes([*catalogue.CATALOGUE]), here)
    others = [part.part for part in contents.parts if keys.get(part.part) != part.key]
    if others:
        raise UsageError(
            "C2D-BUNDLE-FILE-VERSION",
            f"{source} is of another c2d-box ({contents.c2d_box}): {', '.join(others)} differ.",
            "Use a file made by this very version, or install the c2d-box it carries: `python3 FILE`.",
            parts=others,
        )


def _require_own_paths(part: PartManifest, source: str) -> None:
    """Raise where a path of the part, or the target of one of its links, leads out of the part's folder.

    A file is written and a link is made where its path says: no folder on the way may be a link, and the
    manifest of the cache is not the file's to give. A target may climb only at its beginning, since ``..``
    behind a link is elsewhere than the text says.
    """
    names = {record.path for record in part.files}
    for record in part.files:
        path = PurePosixPath(record.path)
        target = posixpath.normpath(posixpath.join(path.parent, record.link))
        if (
            not _leads_inside(record.path)
            or not names.isdisjoint(str(folder) for folder in path.parents)
            or record.path == "manifest.json"
            or (record.link and not (_is_normal(record.link) and _leads_inside(target)))
        ):
            raise _damaged_file(source, record.path)


def _leads_inside(path: str) -> bool:
    """Return whether a relative path, in its normal form, stays below the folder that it begins in."""
    return _is_normal(path) and not path.startswith("/") and path.split("/")[0] not in ("", ".", "..")


def _is_normal(path: str) -> bool:
    """Return whether a path is as ``normpath`` writes it: no ``//``, and ``..`` at its beginning only."""
    return posixpath.normpath(path) == path


def _require_room(cache: BundleCache, new: list[PartManifest]) -> None:
    """Raise where the unpacked sizes exceed the free space."""
    cache.root.mkdir(parents=True, exist_ok=True)
    needed = sum(part.total_size for part in new) >> 20
    if cache.free_mib() < needed:
        raise EnvironmentProblem(
            "C2D-DISK-FULL",
            f"The bundle takes {needed} MiB; {cache.root} has {cache.free_mib()} MiB left.",
            "Free some space, or point C2D_BOX_CACHE at another disk.",
        )


def _unpack_parts(
    archive: zipfile.ZipFile, parts: list[PartManifest], room: Path, source: str
) -> Progress[None]:
    """Unpack every file of the parts into the staging folder and check its hash. Links are not made yet: a
    link of the manifest could lead a later file out of the folder.
    """
    total, done = sum(part.total_size for part in parts) or 1, 0
    began = time.monotonic()
    yield ProgressEvent("bundle.load", "started", source)
    for part in parts:
        for record in part.files:
            # For links too: _commit_part creates them under this path.
            target = _target_path(room / part.part, record.path, source)
            if not record.link:
                _bring(archive, f"parts/{part.part}/{record.path}", record, target, source)
        done += part.total_size
        yield ProgressEvent("bundle.load", "progress", part.part, fraction=done / total)
    yield ProgressEvent(
        "bundle.load", "done", f"{done / 1e6:.0f} MB checked", seconds=time.monotonic() - began
    )


def _target_path(folder: Path, name: str, source: str) -> Path:
    """Return the path of a file in the staging folder; raise where its name would lead out of it (``../`` or
    an absolute path).
    """
    target = folder / name
    if not target.resolve().is_relative_to(folder.resolve()):
        raise _damaged_file(source, name)
    return target


def _bring(archive: zipfile.ZipFile, name: str, record: FileRecord, target: Path, source: str) -> None:
    """Unpack one file, unless an earlier attempt has brought it whole."""
    if target.exists() and target.stat().st_size == record.size and digest_of(target) == record.sha256:
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    hasher, draft = hashlib.sha256(), target.with_name(f".{target.name}.part")
    left = record.size
    with draft.open("wb") as out:
        for chunk in _member_chunks(archive, name, source):
            left -= len(chunk)
            # More bytes than the manifest says: stopped at once, before a zip bomb fills the disk.
            if left < 0:
                raise _damaged_file(source, name)
            hasher.update(chunk)
            out.write(chunk)
    if hasher.hexdigest() != record.sha256:
        draft.unlink()
        raise _damaged_file(source, name)
    draft.chmod(0o755 if record.executable else 0o644)
    # Renamed after the check: a file under its own name is whole, which the next attempt relies on.
    draft.replace(target)


def _commit_part(cache: BundleCache, part: PartManifest, folder: Path) -> None:
    """Make the part's links, record the new inode times, and move the part into the cache."""
    for record in part.files:
        if record.link:
            link = folder / record.path
            link.parent.mkdir(parents=True, exist_ok=True)
            link.unlink(missing_ok=True)
            link.symlink_to(record.link)
    # The cheap check for damage compares times, and unpacking has set new ones.
    files = tuple(
        record
        if record.link
        else FileRecord(
            record.path,
            record.size,
            record.sha256,
            record.executable,
            (folder / record.path).stat().st_mtime_ns,
        )
        for record in part.files
    )

    def wait() -> None:
        time.sleep(0.2)

    with cache.lock_part(part.part, wait):
        cache.publish_part(
            folder,
            PartManifest(
                part.part,
                part.version,
                part.key,
                part.architecture,
                part.seconds,
                files,
                part.facts,
                part.format,
            ),
            catalogue.CATALOGUE[part.part].keep,
        )


def _damaged_file(source: str, what: str) -> C2DError:
    """Return the error for a file that is not as it was written."""
    return Failed("C2D-BUNDLE-FILE-DAMAGED", f"{source} is damaged: {what} is not what was written.", _AGAIN)


def _member_chunks(archive: zipfile.ZipFile, name: str, source: str) -> Iterator[bytes]:
    """Yield an entry's bytes; turn whatever the zip reader raises for damage into one error."""
    try:
        with archive.open(name) as stream:
            while chunk := stream.read(CHUNK):
                yield chunk
    except (*_UNREADABLE, KeyError) as cause:
        raise _damaged_file(source, name) from cause
    except OSError as cause:
        if cause.errno is None:  # bzip2's word for bad data; the disk's errors have a number
            raise _damaged_file(source, name) from cause
        raise


# -- files and URLs ----------------------------------------------------------------------------------------


def _open_archive(source: str) -> zipfile.ZipFile:
    """Open the bundle file at a path or URL. Only the archive's directory, at its end, is read."""
    try:
        if source.startswith(("http://", "https://")):
            # Buffered, because the zip reader asks for a few bytes at a time and each question is a request.
            return zipfile.ZipFile(cast("IO[bytes]", io.BufferedReader(_RemoteFile(source), CHUNK)))
        return zipfile.ZipFile(source)
    except FileNotFoundError as cause:
        raise UsageError("C2D-NO-SUCH-FILE", f"There is no file {source}.", "Check the path.") from cause
    except zipfile.BadZipFile as cause:
        raise UsageError(
            "C2D-BUNDLE-FILE", f"{source} is no bundle file, or the end of one is missing.", _AGAIN
        ) from cause


class _RemoteFile(io.RawIOBase):
    """A file behind a URL, read by ranges, so that only what is missing is transferred."""

    def __init__(self, url: str) -> None:
        import httpx

        # A proxy is used unless the address is one of this network (c2d_box.proxies).
        self._client = httpx.Client(timeout=30.0, follow_redirects=True, trust_env=may_use_proxy(url))
        self._url = url
        self._at = 0
        # One byte tells both: whether the server serves ranges, and how long the file is.
        content_range, _ = self._request_range(0, 0)
        total = content_range.rpartition("/")[2]
        if not total.isdecimal():
            raise self._no_ranges(206)
        self._size = int(total)

    def _request_range(self, first: int, last: int) -> tuple[str, bytes]:
        """Return ``Content-Range`` and the bytes from ``first`` to ``last``; turn network errors into one
        with a code, and whatever is no part of the file into another, without reading all of it.
        """
        import httpx

        data = bytearray()
        try:
            with self._client.stream("GET", self._url, headers={"Range": f"bytes={first}-{last}"}) as answer:
                if answer.status_code != 206:
                    raise self._no_ranges(answer.status_code)
                for chunk in answer.iter_bytes():
                    data += chunk
                    if len(data) > last - first + 1:
                        raise self._no_ranges(answer.status_code)
                return str(answer.headers.get("content-range", "")), bytes(data)
        except httpx.HTTPError as cause:
            raise EnvironmentProblem(
                "C2D-NO-NETWORK",
                f"{self._url} does not answer: {cause}",
                "Check the address and run the command again: what has arrived is kept.",
            ) from cause

    def _no_ranges(self, status: int) -> UsageError:
        """Return the error for an answer that is not the part of the file that was asked for."""
        return UsageError(
            "C2D-BUNDLE-URL",
            f"{self._url} does not answer with parts of a file (status {status}).",
            "Serve it with `c2d-box bundle serve`, or download it first and load the file.",
        )

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Read the next bytes by one request; return 0 at the end, as RawIOBase asks."""
        view = memoryview(buffer)
        end = min(self._at + len(view), self._size)
        if end <= self._at:
            return 0
        _, data = self._request_range(self._at, end - 1)
        view[: len(data)] = data
        self._at += len(data)
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self._client.close()
        super().close()
