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
    state: int
    present: bool


def read_metadata(chain: Chain, nft: str) -> OnChainMetadata:
    """Return ``getMetaData()``: URL and address of the document's decryptor, and the asset's state."""
    url, address, state, present = chain.read_view(abis.NFT, nft, "getMetaData")
    return OnChainMetadata(url, address, int(state), bool(present))


def read_state(chain: Chain, nft: str) -> int:
    return read_metadata(chain, nft).state


def nft_owner(chain: Chain, nft: str) -> str:
    """The NFT's current owner (token 1: a data NFT has exactly one token)."""
    return str(chain.read_view(abis.NFT, nft, "ownerOf", 1))


def is_deployed_nft(chain: Chain, nft: str) -> bool:
    """Return whether one of Ocean's factories made this NFT; any other contract may claim anything."""
    pools = chain.addresses.pools
    factories = [chain.addresses.factory, *([pools.factory] if pools else [])]
    return any(
        same_hex(chain.read_view(abis.FACTORY, f, "erc721List", checksum_address(nft)), nft)
        for f in factories
    )


def is_deployed_datatoken(chain: Chain, nft: str, datatoken: str) -> bool:
    """Return whether ``datatoken`` belongs to ``nft``."""
    return bool(chain.read_view(abis.NFT, nft, "isDeployed", checksum_address(datatoken)))


def may_update_metadata(chain: Chain, nft: str, account: str) -> bool:
    _manager, _deployer, updater, _store = chain.read_view(
        abis.NFT, nft, "getPermissions", checksum_address(account)
    )
    return bool(updater)


def holds_roles(chain: Chain, nft: str, datatoken: str, account: str) -> bool:
    """Return whether ``account`` may still do anything with the NFT or mint its datatoken."""
    roles = (
        chain.read_view(abis.NFT, nft, "getPermissions", checksum_address(account)),
        chain.read_view(abis.DATATOKEN, datatoken, "getPermissions", checksum_address(account)),
    )
    return same_hex(nft_owner(chain, nft), account) or any(any(found) for found in roles)


def publishing_market(chain: Chain, datatoken: str) -> str:
    """The publishing market's address of a datatoken, or the empty text where there is none."""
    address = str(chain.read_view(abis.DATATOKEN, datatoken, "getPublishingMarketFee")[0])
    return "" if address == ZERO else address


def nft_details(chain: Chain, nft: str) -> dict[str, Any]:
    """Name, symbol, state, tokenURI and owner: what the metadata cache adds to a DDO as ``nft``."""
    return {
        "address": checksum_address(nft),
        "name": chain.read_view(abis.NFT, nft, "name"),
        "symbol": chain.read_view(abis.NFT, nft, "symbol"),
        "state": read_state(chain, nft),
        "tokenURI": chain.read_view(abis.NFT, nft, "tokenURI", 1),
        "owner": nft_owner(chain, nft),
    }


def token_details(chain: Chain, token: str) -> dict[str, Any]:
    """Address, name and symbol of a datatoken or any ERC20."""
    return {
        "address": checksum_address(token),
        "name": chain.read_view(abis.DATATOKEN, token, "name"),
        "symbol": chain.read_view(abis.DATATOKEN, token, "symbol"),
    }
