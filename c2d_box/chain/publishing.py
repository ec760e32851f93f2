"""Putting an asset on the chain: NFT, datatoken and price in one transaction, then its metadata."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from c2d_box.assets.addresses import ZERO, checksum
from c2d_box.chain import abis, events
from c2d_box.chain.accounts import Signer
from c2d_box.chain.node import Chain
from c2d_box.chain.transactions import hash_of, send

WEI = 10**18
_CAP = 100_000 * WEI
PLAIN, COMPRESSED, ENCRYPTED = 0, 1, 2


@dataclass(frozen=True)
class Free:
    """A dispenser hands one datatoken to whoever asks."""

    max_tokens: int = WEI
    max_balance: int = WEI


@dataclass(frozen=True)
class Fixed:
    """One datatoken costs ``amount`` base units of ``token`` (default: the chain's Ocean token)."""

    amount: int
    token: str | None = None


@dataclass(frozen=True)
class Created:
    """What one transaction made. ``exchange_id`` is None for a free asset."""

    nft: str
    datatoken: str
    exchange_id: str | None
    tx: str


def create_asset(
    chain: Chain,
    signer: Signer,
    name: str,
    symbol: str,
    price: Free | Fixed,
    *,
    market: str = ZERO,
    template: int = 1,
    token_uri: str = "",
) -> Created:
    """A data NFT owned by ``signer``, its datatoken, and a dispenser or a fixed-rate exchange for it.

    ``market`` is the publishing market's address, ``template`` the datatoken's (1 basic, 2 enterprise).
    """
    nft = (name, symbol, 1, token_uri, True, signer.address)
    uints = [_CAP, 0]
    datatoken: Any = (template, [name, symbol], [signer.address, ZERO, checksum(market), ZERO], uints, [])
    if isinstance(price, Free):
        function = "createNftWithErc20WithDispenser"
        terms: Any = (chain.addresses.dispenser, price.max_tokens, price.max_balance, True, ZERO)
    else:
        function = "createNftWithErc20WithFixedRate"
        terms = _fixed_rate(chain, signer, price)
    receipt = send(chain, signer, abis.FACTORY, chain.addresses.factory, function, nft, datatoken, terms)
    return _created(chain, receipt)


def set_metadata(
    chain: Chain,
    signer: Signer,
    nft: str,
    state: int,
    decryptor_url: str,
    flags: int,
    data: bytes,
    hash: str,
    proofs: Sequence[Mapping[str, Any]] = (),
    decryptor_address: str = "",
) -> str:
    """Write the (encrypted) DDO; the transaction's hash.

    ``hash`` is the sha256 of the plain JSON. A proof is what the cache's validate route answers:
    ``{"publicKey", "v", "r": [..], "s": [..]}``.
    """
    arguments = (
        state,
        decryptor_url,
        decryptor_address,
        bytes([flags]),
        data,
        _bytes32(hash),
        [_proof(proof) for proof in proofs],
    )
    return hash_of(send(chain, signer, abis.NFT, nft, "setMetaData", *arguments))


def set_state(chain: Chain, signer: Signer, nft: str, state: int) -> str:
    """Change what the asset is (active, revoked, …) without touching its document."""
    return hash_of(send(chain, signer, abis.NFT, nft, "setMetaDataState", int(state)))


def mint(chain: Chain, signer: Signer, datatoken: str, to: str, amount: int = WEI) -> str:
    return hash_of(send(chain, signer, abis.DATATOKEN, datatoken, "mint", checksum(to), amount))


def set_price(chain: Chain, signer: Signer, exchange_id: str, amount: int) -> str:
    """Change a fixed rate to ``amount`` base units of its token."""
    address, exchange = chain.addresses.fixed_price, _bytes32(exchange_id)
    decimals = int(chain.read(abis.EXCHANGE, address, "getExchange", exchange)[4])
    rate = amount * 10 ** (18 - decimals)
    return hash_of(send(chain, signer, abis.EXCHANGE, address, "setRate", exchange, rate))


def transfer_nft(chain: Chain, signer: Signer, nft: str, to: str) -> str:
    arguments = (signer.address, checksum(to), 1)
    return hash_of(send(chain, signer, abis.NFT, nft, "transferFrom", *arguments))


def _fixed_rate(chain: Chain, signer: Signer, price: Fixed) -> tuple[Any, ...]:
    token = checksum(price.token or chain.addresses.ocean)
    rate = price.amount * 10 ** (18 - chain.decimals(token))
    addresses = [token, signer.address, signer.address, ZERO]
    return (chain.addresses.fixed_price, addresses, [chain.decimals(token), 18, rate, 0, 1])


def _created(chain: Chain, receipt: Any) -> Created:
    names = ("NFTCreated", "TokenCreated", "NewFixedRate", "ExchangeCreated")
    found = {event.name: event for event in events.decoded(receipt["logs"], names)}
    exchange = found.get("ExchangeCreated")
    return Created(
        nft=found["NFTCreated"]["newTokenAddress"],
        datatoken=found["TokenCreated"]["newTokenAddress"],
        exchange_id=exchange["exchangeId"] if exchange else None,
        tx=hash_of(receipt),
    )


def _proof(proof: Mapping[str, Any]) -> tuple[str, int, bytes, bytes]:
    r, s = (value[0] if isinstance(value, list | tuple) else value for value in (proof["r"], proof["s"]))
    return checksum(proof["publicKey"]), int(proof["v"]), _bytes32(r), _bytes32(s)


def _bytes32(value: str) -> bytes:
    return bytes.fromhex(value.removeprefix("0x").rjust(64, "0"))
