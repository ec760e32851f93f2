"""What judge, upload and engine agree on about a job's files; light, as pods load it on the hot path."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

EVIDENCE = "evidence.json"
"""The record's name among the results."""


SEALED = ".ecies"
"""Ends the name of a result that was encrypted for its owner."""
ENCRYPTION = "ecies"
"""What the listing says of such a result."""


def manifest_digest(files: Iterable[Mapping[str, Any]]) -> str:
    """Of what may leave, in the order of the results: SHA-256, hex."""
    return hashlib.sha256(
        canonical_json([[file["filename"], file["type"], file["size"], file["sha256"]] for file in files])
    ).hexdigest()


def canonical_json(value: Any) -> bytes:
    """The one spelling of a value that is hashed."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def lines_digest(lines: Iterable[Mapping[str, Any]]) -> str:
    """Of a list of which a record keeps only the first lines: SHA-256, hex."""
    return hashlib.sha256(canonical_json([dict(line) for line in lines])).hexdigest()
