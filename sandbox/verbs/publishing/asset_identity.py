"""Identifies the asset behind a DID, so that a box's stored data about one asset is never used for another.

A DID follows from the NFT's address, and a chain that was taken back (``reset --assets``, a restored disk,
another test chain) hands the same addresses out again, to the next publisher. The asset's description does
not repeat: its files are encrypted anew at every publication.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from c2d_box.errors import Refused
from sandbox.box import Box
from sandbox.verbs.sdk_connections import connection_to

if TYPE_CHECKING:
    from c2d_box.client import Connection

# The NFT state of an asset that can be ordered.
ACTIVE = 0


def asset_mark(box: Box, did: str) -> str:
    """Return a hash of the chain's first block, the asset's owner and what it consists of; empty where the
    box has no such asset, or it has ended.
    """
    with connection_to(box) as connection:
        return mark_on(connection, did)


def mark_on(connection: Connection, did: str) -> str:
    """Return :func:`asset_mark` over a connection that is open."""
    try:
        record = connection.cache.read_record(did)
    except Refused:
        return ""
    if int((record.get("nft") or {}).get("state") or 0) != ACTIVE:
        return ""
    return mark_of(record, bytes(connection.chain.block_header(0)["hash"]).hex())


def mark_of(record: Mapping[str, Any], genesis: str) -> str:
    """Return the mark of a record of the metadata cache. Names, prices and permissions may change without
    changing the mark.
    """
    algorithm = (record.get("metadata") or {}).get("algorithm") or {}
    facts = {
        # Two test chains may have the same id; their first blocks differ.
        "chain": [record.get("chainId"), genesis],
        "did": record.get("id"),
        "owner": str((record.get("nft") or {}).get("owner") or "").lower(),
        "container": algorithm.get("container"),
        # ``files`` is encrypted anew at every publication, which makes the mark differ.
        "services": [
            [service.get("id"), str(service.get("datatokenAddress")).lower(), service.get("files")]
            for service in record.get("services") or ()
        ],
    }
    # Sorted keys, so that equal records give equal hashes whatever order the cache writes them in.
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
