"""The DID of an asset: derived from its NFT and chain, so nobody can claim another's."""

from __future__ import annotations

import hashlib
import re

from c2d_box.assets.addresses import checksum_address

PREFIX = "did:op:"
_DID = re.compile(r"did:op:[0-9a-f]{64}\Z")


def did_for(nft: str, chain_id: int) -> str:
    """Return ``did:op:`` + sha256 of the checksummed NFT address followed by the decimal chain id."""
    # Without the checksum's case another spelling of one NFT would be another asset.
    return PREFIX + hashlib.sha256(f"{checksum_address(nft)}{chain_id}".encode()).hexdigest()


def is_did(value: object) -> bool:
    """Return whether the value is text in the form of a DID; whether there is such an asset, the
    chain says."""
    return isinstance(value, str) and _DID.match(value) is not None


def bare_did(did: str) -> str:
    """Return the DID without its prefix: the folder name an algorithm sees below ``/data/inputs``."""
    return did.removeprefix(PREFIX)
