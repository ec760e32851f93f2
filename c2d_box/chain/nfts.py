"""Data NFTs and their datatokens, as the chain has them now."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from c2d_box.assets.addresses import ZERO, checksum_address, same_hex
from c2d_box.chain import abis
from c2d_box.chain.node import Chain


class NftState(IntEnum):
    """The state of an asset, as its NFT's owner has set it."""

    # The numbers are Ocean's and stand on the chain; a contract's owner may set others too.
    ACTIVE = 0
    END_OF_LIFE = 1
    DEPRECATED = 2
    REVOKED = 3
    ORDERING_DISABLED = 4
    UNLISTED = 5


@dataclass(frozen=True)
class OnChainMetadata:
    """The answer of an NFT's ``getMetaData()``."""

    decryptor_url: str
    decryptor_address: str
    # A plain int: an owner may write a number that NftState does not know.
    state: int
    # False until setMetaData was called for the first time.
    present: bool


def read_metadata(chain: Chain, nft: str) -> OnChainMetadata:
    """Return ``getMetaData()``: URL and address of the document's decryptor, and the asset's state."""
    url, address, state, present = chain.read_view(abis.NFT, nft, "getMetaData")
    return OnChainMetadata(url, address, int(state), bool(present))


def read_state(chain: Chain, nft: str) -> int:
    """Return the asset's state, as a number: it need not be one of :class:`NftState`."""
    return read_metadata(chain, nft).state


def nft_owner(chain: Chain, nft: str) -> str:
    """Return the NFT's current owner, checksummed (token 1: a data NFT has exactly one token)."""
    return str(chain.read_view(abis.NFT, nft, "ownerOf", 1))


def is_deployed_nft(chain: Chain, nft: str) -> bool:
    """Return whether one of Ocean's factories made this NFT; any other contract may claim anything."""
    pools = chain.addresses.pools
    factories = [chain.addresses.factory, *([pools.factory] if pools else [])]
    # The factory's own list is asked, never the NFT: an attacker's contract would say yes.
    return any(
        same_hex(chain.read_view(abis.FACTORY, f, "erc721List", checksum_address(nft)), nft)
        for f in factories
    )


def is_deployed_datatoken(chain: Chain, nft: str, datatoken: str) -> bool:
    """Return whether ``datatoken`` belongs to ``nft``.

    The answer is the NFT's own, so it is worth something only for an NFT that :func:`is_deployed_nft`
    accepts.
    """
    return bool(chain.read_view(abis.NFT, nft, "isDeployed", checksum_address(datatoken)))


def may_update_metadata(chain: Chain, nft: str, account: str) -> bool:
    """Return whether ``account`` may write the NFT's metadata.

    The role is separate from ownership: the owner grants it, and a transfer takes it away.
    """
    # Named, so that the position of the one that counts is seen: the struct has four flags.
    _manager, _deployer, updater, _store = chain.read_view(
        abis.NFT, nft, "getPermissions", checksum_address(account)
    )
    return bool(updater)


def holds_roles(chain: Chain, nft: str, datatoken: str, account: str) -> bool:
    """Return whether ``account`` may still do anything with the NFT or mint its datatoken."""
    # NFT and datatoken keep separate permissions; a leftover minter could sell what it gave away.
    roles = (
        chain.read_view(abis.NFT, nft, "getPermissions", checksum_address(account)),
        chain.read_view(abis.DATATOKEN, datatoken, "getPermissions", checksum_address(account)),
    )
    return same_hex(nft_owner(chain, nft), account) or any(any(found) for found in roles)


def publishing_market(chain: Chain, datatoken: str) -> str:
    """Return the address of the market through which a datatoken was published, or the empty text.

    ``trustedMarkets`` of a dataset's rules compares it.
    """
    address = str(chain.read_view(abis.DATATOKEN, datatoken, "getPublishingMarketFee")[0])
    # As an address, the contract's zero for "none" would make one market of all assets without one.
    return "" if address == ZERO else address


def nft_details(chain: Chain, nft: str) -> dict[str, Any]:
    """Return what the metadata cache adds to a DDO as ``nft``: name, symbol, state, tokenURI and owner.

    The keys are those of Aquarius, which clients read.
    """
    return {
        "address": checksum_address(nft),
        "name": chain.read_view(abis.NFT, nft, "name"),
        "symbol": chain.read_view(abis.NFT, nft, "symbol"),
        "state": read_state(chain, nft),
        "tokenURI": chain.read_view(abis.NFT, nft, "tokenURI", 1),
        "owner": nft_owner(chain, nft),
    }
