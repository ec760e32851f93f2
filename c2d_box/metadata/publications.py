"""Checks a published document before it is served to anybody.

The same rules as ``ddo/validate``: what a client was told is valid is served later.
"""

from __future__ import annotations

from typing import Any

from c2d_box.assets.addresses import same_hex
from c2d_box.assets.documents.validation import validate_ddo
from c2d_box.strict_json import JsonRefused, parse_object


class DocumentRejected(Exception):
    """The document of an event is not acceptable, and trying again cannot change that; the text says why."""


def checked_document(text: bytes, nft: str, chain_id: int) -> dict[str, Any]:
    """Return the document. Raise DocumentRejected unless it is valid and describes the very NFT whose event
    published it."""
    try:
        # The strict parser first: depth, numbers and encoding are bounded before anything recurses.
        document = parse_object(text)
    except JsonRefused as refusal:
        raise DocumentRejected(f"The document is refused ({refusal.code}): {refusal.reason}") from None
    if problems := validate_ddo(document):
        # The first problem suffices for a reason that fits into one line.
        path, message = next(iter(problems.items()))
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise DocumentRejected(f"{path}: {message}{more}")
    # A valid document of another asset, published under this NFT, would put its facts under a foreign name.
    if not same_hex(document.get("nftAddress"), nft) or document.get("chainId") != chain_id:
        raise DocumentRejected("The document describes another NFT or chain.")
    return document


def services_of(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the document's services; a single object stands for the list that holds only it."""
    services = document.get("services") or []
    listed = [services] if isinstance(services, dict) else services
    return [entry for entry in listed if isinstance(entry, dict)] if isinstance(listed, list) else []
