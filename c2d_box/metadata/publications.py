"""What a published document must be before anybody is shown it."""

from __future__ import annotations

import json
from typing import Any

from c2d_box.assets.addresses import same
from c2d_box.assets.validation import validate


class Rejected(Exception):
    """The event is final and its document not acceptable; the text says why."""


def checked_document(text: bytes, nft: str, chain_id: int) -> dict[str, Any]:
    """The document, which must be valid and speak of the very NFT whose event published it."""
    try:
        document = json.loads(text.decode())
    except (ValueError, RecursionError):
        raise Rejected("The document is not JSON.") from None
    if not isinstance(document, dict):
        raise Rejected("The document is not an object.")
    if problems := validate(document):
        path, message = next(iter(problems.items()))
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise Rejected(f"{path}: {message}{more}")
    if not same(document.get("nftAddress"), nft) or document.get("chainId") != chain_id:
        raise Rejected("The document describes another NFT or chain.")
    return document
