"""Assets on the chain whose sealed files hold the store's root key, as assets of results on S3 once did.

The chain keeps what was published: whoever opens it one day with the Provider's key has a key that lists and
reads everything in the store. It can be found as long as the box has both keys.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from c2d_box.assets.documents.ddo import DDO
from c2d_box.assets.files import FileObjectError, S3File, unseal_files
from sandbox.doctor.finding import Finding

_NAMED = 3


def examine_assets(documents: Iterable[Mapping[str, Any]], provider_key: str, root_key: str) -> Finding:
    """Check the DDOs in ``documents`` for the store's root key.

    ``provider_key`` opens their sealed files; ``root_key`` is the access key id that no asset should hold.
    """
    found = [
        str(document.get("id")) for document in documents if _holds_root_key(document, provider_key, root_key)
    ]
    if not found:
        return Finding("C2D-DOC-SEALED-KEY", "ok", "no asset holds the store's root key", "all were opened")
    # All are counted, a few are named: a box may have hundreds.
    named = ", ".join(found[:_NAMED]) + (f" and {len(found) - _NAMED} more" if len(found) > _NAMED else "")
    return Finding(
        "C2D-DOC-SEALED-KEY",
        "problem",
        "assets on the chain hold the object store's root key",
        f"{named}: made of results by an earlier version; with the Provider's key they open the whole store",
        "c2d-box reset makes new keys and forgets the chain; on a chain outside, change the store's root key",
    )


def _holds_root_key(document: Mapping[str, Any], provider_key: str, root_key: str) -> bool:
    """Return whether an asset's files, opened with the Provider's key, name the root key."""
    try:
        ddo = DDO.parse(dict(document))
    # A description that is no DDO has no files to open.
    except ValueError:
        return False
    for service in ddo.services:
        try:
            files = unseal_files(
                provider_key,
                service.files,
                nft=ddo.nft_address,
                datatoken=service.datatoken_address,
                version=ddo.version,
            )
        # Sealed for another Provider: what this key does not open, it does not give away.
        except FileObjectError:
            continue
        if any(isinstance(file, S3File) and file.access_key_id == root_key for file in files):
            return True
    return False
