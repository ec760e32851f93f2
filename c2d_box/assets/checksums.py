"""The two checksums a publisher stores of an algorithm it trusts."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable


def container_checksum(entrypoint: str, checksum: str) -> str:
    """sha256 of entrypoint followed by the image digest (image name and tag are not covered)."""
    return hashlib.sha256(f"{entrypoint}{checksum}".encode()).hexdigest()


def files_checksum(digests: Iterable[str]) -> str:
    """The sha256 of each file's content, in file order, lower-case, concatenated (not hashed again)."""
    return "".join(digest.lower() for digest in digests)
