"""The DDOs a publisher writes: version 4.1.0, as every client of this generation does."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from c2d_box.assets.did import did_for
from c2d_box.assets.documents.validation import validate_ddo
from c2d_box.errors import Refused

VERSION = "4.1.0"
"""Version of the DDO schema that is written."""
DECORATIONS = ("nft", "datatokens", "event", "stats", "purgatory", "indexedMetadata")
"""Keys that a metadata cache adds to a record; they are never part of what is published."""

NOBODY: Mapping[str, Any] = {
    "allowRawAlgorithm": False,
    "allowNetworkAccess": False,
    "publisherTrustedAlgorithms": [],
    "publisherTrustedAlgorithmPublishers": [],
}
"""The compute rules of a new dataset: no algorithm is trusted until its publisher permits it."""


def metadata_section(
    kind: str,
    name: str,
    description: str,
    author: str,
    license: str,
    more: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return ``metadata`` of a dataset or algorithm; ``more`` is merged over it."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "created": now,
        "updated": now,
        "type": kind,
        "name": name,
        # The schema demands a text; publishers leave it out.
        "description": description or name,
        # The schema demands an author as well.
        "author": author or "unknown",
        "license": license,
        **(more or {}),
    }


def service_section(
    kind: str,
    *,
    datatoken: str,
    endpoint: str,
    files: str,
    timeout: int,
    compute: Mapping[str, Any] | None = None,
    extra: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return one entry of ``services``. Its id is its type, so an asset has at most one of each."""
    section: dict[str, Any] = {
        "id": kind,
        "type": kind,
        "files": files,
        # Ocean's schemas from 4.3.0 on want at least four and ten characters where these two are given.
        "name": f"{kind.capitalize()} service",
        "description": f"The {kind} service of this asset",
        "datatokenAddress": datatoken,
        "serviceEndpoint": endpoint,
        "timeout": timeout,
    }
    # Rules that nobody gave let nobody compute, until the publisher permits somebody.
    if kind == "compute":
        section["compute"] = dict(compute or NOBODY)
    return {**section, **(extra or {})}


def build_ddo(
    nft: str,
    chain_id: int,
    metadata: Mapping[str, Any],
    services: Sequence[Mapping[str, Any]],
    credentials: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return a whole DDO. Its id follows from NFT and chain, so a document cannot be moved to
    another asset."""
    return {
        "@context": ["https://w3id.org/did/v1"],
        # Not a parameter: readers derive it again and refuse a document whose id differs.
        "id": did_for(nft, chain_id),
        "version": VERSION,
        "chainId": chain_id,
        "nftAddress": nft,
        "metadata": dict(metadata),
        "services": [dict(service) for service in services],
        "credentials": dict(credentials or {"allow": [], "deny": []}),
    }


def strip_decorations(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a cache's record without what the cache added: the part that its publisher may edit and publish
    again."""
    return {key: value for key, value in record.items() if key not in DECORATIONS}


def compact_json(document: Mapping[str, Any]) -> bytes:
    """Return the JSON text as it is hashed, encrypted and published."""
    # Made once and passed on as bytes: the hash on the chain is over exactly these.
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


def demand_valid(document: dict[str, Any]) -> None:
    """Raise Refused C2D-DDO-INVALID for an invalid document, before anything is paid or written on
    the chain."""
    errors = validate_ddo(document)
    if errors:
        text = "; ".join(f"{path}: {message}" for path, message in errors.items())
        raise Refused(
            "C2D-DDO-INVALID", f"the asset's description is not valid: {text}", "correct it", errors=errors
        )
