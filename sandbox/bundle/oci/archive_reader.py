"""Reads untrusted image archives: nothing is unpacked, documents are limited in size, blobs are hashed."""

from __future__ import annotations

import contextlib
import hashlib
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from c2d_box.errors import UsageError
from c2d_box.strict_json import JsonLimits, JsonRefused, parse_json

MAX_DOCUMENT = 4 * 1024 * 1024
"""Largest size in bytes of an index, manifest or config: a larger one is not an image but an attack."""
_DOCUMENT = JsonLimits(size_bytes=MAX_DOCUMENT)


class ArchiveReader:
    """An archive opened for reading, plain or compressed. Its content is untrusted: every read is bounded and
    checked.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._tar = tarfile.open(path)  # noqa: SIM115 - closed by __exit__
            # By name without ./, because tools write both forms. Only files and links: nothing else is read.
            self._members = {_plain_name(m.name): m for m in self._tar.getmembers() if m.isreg() or m.issym()}
        except FileNotFoundError as error:
            raise UsageError(
                "C2D-IMAGE-FILE", f"There is no file {path}.", "Give the path of an archive."
            ) from error
        except (tarfile.TarError, OSError, EOFError) as error:
            raise self.broken_archive("it is not a readable tar file") from error

    def __enter__(self) -> ArchiveReader:
        return self

    def __exit__(self, *_: object) -> None:
        self._tar.close()

    def broken_archive(self, why: str) -> UsageError:
        """Return the error for an archive that is no usable image; the caller raises it."""
        return UsageError(
            "C2D-IMAGE-ARCHIVE",
            f"{self.path} is not an image archive that can be used: {why}.",
            "Make one with `docker save NAME:TAG -o FILE`, or any tool that writes OCI archives.",
            path=str(self.path),
        )

    @contextlib.contextmanager
    def documents_as_expected(self) -> Iterator[None]:
        """Turn errors from a document of unexpected form into the error for a broken archive: the archive is
        at fault, not this program.
        """
        try:
            yield
        # What reading a document as a dict or list raises where it is something else.
        except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
            raise self.broken_archive("its documents do not have the form of an image's") from error

    def __contains__(self, name: str) -> bool:
        return name in self._members

    def find_member(self, name: str) -> tarfile.TarInfo:
        """Return a regular member; links inside the archive (old ``docker save``) are followed once."""
        member = self._members.get(name)
        if member is not None and member.issym():
            folder = name.rpartition("/")[0].split("/")
            # Once only: links that point at each other cannot keep the reader busy.
            member = self._members.get(_plain_name(_resolve_link(folder, member.linkname)))
        if member is None or not member.isreg():
            raise self.broken_archive(f"it lacks {name}")
        return member

    def read_member(self, name: str) -> bytes:
        """Return a small member whole; raise where it is larger than ``MAX_DOCUMENT``."""
        member = self.find_member(name)
        # The header is checked before a byte is read, so a huge member costs no memory.
        if member.size > MAX_DOCUMENT:
            raise self.broken_archive(f"{name} is larger than {MAX_DOCUMENT} bytes")
        stream = self._tar.extractfile(member)
        assert stream is not None
        return stream.read()

    def read_json(self, name: str) -> Any:
        """Return a member as parsed JSON, whatever its form."""
        return self.parse_document(self.read_member(name), name)

    def parse_document(self, data: bytes, name: str) -> Any:
        """Parse JSON from the archive, which is untrusted."""
        try:
            return parse_json(data, _DOCUMENT)
        except JsonRefused as error:
            raise self.broken_archive(f"{name} is not JSON that can be used: {error}") from error

    def layer_members(self, name: str) -> Iterator[tarfile.TarInfo]:
        """Yield the members of a layer, read as a stream; raise TarError where its compression is unknown."""
        stream = self._tar.extractfile(self.find_member(name))
        assert stream is not None
        # A stream cannot seek back, so memory stays small however large the layer is.
        with tarfile.open(fileobj=stream, mode="r|*") as layer:
            yield from layer

    def member_sha256(self, name: str) -> str:
        """Return the hash of a member's bytes, in hex."""
        hasher = hashlib.sha256()
        for chunk in self.member_chunks(name):
            hasher.update(chunk)
        return hasher.hexdigest()

    def member_chunks(self, name: str, size: int = 1 << 20) -> Iterator[bytes]:
        """Yield the member's bytes, ``size`` at a time."""
        stream = self._tar.extractfile(self.find_member(name))
        assert stream is not None
        while chunk := stream.read(size):
            yield chunk

    def copy_member(self, name: str, target: Path) -> None:
        """Write a member to ``target``. The caller chooses the path; no name of the archive is used."""
        with target.open("wb") as out:
            out.writelines(self.member_chunks(name))

    def member_head(self, name: str, count: int) -> bytes:
        """Return the first ``count`` bytes of a member, which tell how it is compressed."""
        stream = self._tar.extractfile(self.find_member(name))
        assert stream is not None
        return stream.read(count)

    def read_blob(self, descriptor: Any) -> bytes:
        """Return the document that a descriptor names, its hash checked."""
        data = self.read_member(self.blob_name(descriptor))
        if f"sha256:{hashlib.sha256(data).hexdigest()}" != descriptor["digest"]:
            raise self.broken_archive(f"the blob {descriptor['digest']} has another hash")
        return data

    def blob_name(self, descriptor: Any) -> str:
        """Return the member that a descriptor refers to."""
        digest = descriptor.get("digest") if isinstance(descriptor, dict) else None
        # The digest becomes part of a path: letters and digits only, or it could lead elsewhere.
        if not isinstance(digest, str) or not digest.startswith("sha256:") or not digest[7:].isalnum():
            raise self.broken_archive("it refers to a blob without a sha256 digest")
        return f"blobs/sha256/{digest[7:]}"


def _plain_name(name: str) -> str:
    """Return a member's name without ``./`` in front and slashes around it."""
    return name.removeprefix("./").strip("/")


def _resolve_link(folder: list[str], link: str) -> str:
    """Return where a relative link leads. ``..`` above the top stays at the top, inside the archive."""
    parts = list(folder)
    for word in link.split("/"):
        if word == "..":
            parts = parts[:-1]
        elif word not in ("", "."):
            parts.append(word)
    return "/".join(parts)
