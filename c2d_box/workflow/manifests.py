"""Hashes and names that judge, upload and engine share. Few imports: pods load it on a job's hot path."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

EVIDENCE = "evidence.json"
"""Name of the evidence record among the results."""


SEALED = ".ecies"
"""Suffix of a result that was encrypted for its owner."""
ENCRYPTION = "ecies"
"""Value of ``encryption`` of such a result in the listing."""


def manifest_digest(files: Iterable[Mapping[str, Any]]) -> str:
    """Return the digest of the files that may leave, in the order of the results: SHA-256, hex."""
    return hashlib.sha256(
        canonical_json([[file["filename"], file["type"], file["size"], file["sha256"]] for file in files])
    ).hexdigest()


def canonical_json(value: Any) -> bytes:
    """Return the one JSON encoding of a value that is hashed."""
    # Sorted keys and no blanks: the same value has to give the same hash in every program that checks it.
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def lines_digest(lines: Iterable[Mapping[str, Any]]) -> str:
    """Return the digest of a list of which a record keeps only the first entries: SHA-256, hex."""
    return hashlib.sha256(canonical_json([dict(line) for line in lines])).hexdigest()
