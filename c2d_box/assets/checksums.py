"""The two checksums a publisher stores of an algorithm it trusts."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable


def container_checksum(entrypoint: str, checksum: str) -> str:
    """Return the sha256, hex, of entrypoint followed by the image digest, as ocean.js and ocean.py write it
    into ``containerSectionChecksum``. Image name and tag are not covered: the digest alone decides what
    runs."""
    return hashlib.sha256(f"{entrypoint}{checksum}".encode()).hexdigest()


def files_checksum(digests: Iterable[str]) -> str:
    """Return the sha256 of each file's content, in file order, lower-case, concatenated and not hashed
    again, as Ocean's ``filesChecksum`` has it."""
    return "".join(digest.lower() for digest in digests)
