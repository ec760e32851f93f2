"""Putting an asset on the chain: NFT, datatoken and price in one transaction, then its metadata."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from c2d_box.assets.addresses import ZERO, checksum_address
from c2d_box.chain import abis, events
from c2d_box.chain.accounts import Signer
from c2d_box.chain.node import Chain
from c2d_box.chain.transactions import UnsignedTransaction, ensure_allowance, hash_of, send, spending_lock
from c2d_box.errors import Refused, UsageError
from c2d_box.units import ETHER

# The most datatokens that can ever be minted: the contract takes it once, when the token is made.
_CAP = 100_000 * ETHER
# Flags of setMetaData: how the document in the event is to be read (Aquarius' own bits).
PLAIN, COMPRESSED, ENCRYPTED = 0, 1, 2


@dataclass(frozen=True)
class DispenserTerms:
    """A dispenser hands one datatoken to whoever asks."""

    # One datatoken per call, to an account that does not hold one yet: enough for one order.
    max_tokens: int = ETHER
    max_balance: int = ETHER


@dataclass(frozen=True)
class FixedRateTerms:
    """One datatoken costs ``amount`` base units of ``token`` (default: the chain's Ocean token)."""

    amount: int
    token: str | None = None


@dataclass(frozen=True)
class PoolTerms:
    """One datatoken costs ``amount`` base units of ``token`` at first; from then on every purchase raises it.

    The signer puts ``liquidity`` base units in (default: the price of a hundred datatokens) and owns the
    pool's shares; ``fee`` is the part of each purchase that stays in the pool.
    """

    amount: int
    token: str | None = None
    liquidity: int | None = None
    fee: float = 0.001


SaleTerms = DispenserTerms | FixedRateTerms | PoolTerms


@dataclass(frozen=True)
class CreatedAsset:
    """The contracts that one transaction made. ``exchange_id`` is there for a fixed price, ``pool`` for a
    pool."""

    nft: str
    datatoken: str
    exchange_id: str | None
    tx: str
    pool: str | None = None


def create_asset(
    chain: Chain,
    signer: Signer,
    name: str,
    symbol: str,
    price: SaleTerms | None,
    *,
    market: str = ZERO,
    template: int = 1,
    token_uri: str = "",
) -> CreatedAsset:
    """A data NFT owned by ``signer``, its datatoken, and a dispenser, a fixed-rate exchange or a pool for it.

    ``market`` is the publishing market's address, ``template`` the datatoken's (1 basic, 2 enterprise).
    Raises Refused (C2D-POOLS-NONE) for a pool on a chain without the contracts that have them.
    Without a ``price`` there are only the datatokens that its owner mints.
    """
    # A pool needs an allowance first, so it cannot be the single transaction of the others.
    if isinstance(price, PoolTerms):
        nft, datatoken = _template_arguments(signer, name, symbol, market, template, token_uri)
        return _with_pool(chain, signer, price, nft, datatoken)
    call = creation_transaction(
        chain, signer, name, symbol, price, market=market, template=template, token_uri=token_uri
    )
    return read_creation(send(chain, signer, call.contract, call.address, call.function, *call.arguments))


def creation_transaction(
    chain: Chain,
    signer: Signer,
    name: str,
    symbol: str,
    price: DispenserTerms | FixedRateTerms | None,
    *,
    market: str = ZERO,
    template: int = 1,
    token_uri: str = "",
) -> UnsignedTransaction:
    """Return the one transaction of :func:`create_asset`, for prices that need no liquidity.

    It is separate so that a register can record it before it is sent (``send_idempotent``).
    """
    nft, datatoken = _template_arguments(signer, name, symbol, market, template, token_uri)
    factory = chain.addresses.factory
    if price is None:
        return UnsignedTransaction(abis.FACTORY, factory, "createNftWithErc20", (nft, datatoken))
    if isinstance(price, DispenserTerms):
        function = "createNftWithErc20WithDispenser"
        # With mint: the dispenser makes tokens on demand; ZERO: anybody may ask.
        terms: Any = (chain.addresses.dispenser, price.max_tokens, price.max_balance, True, ZERO)
    else:
        function = "createNftWithErc20WithFixedRate"
        terms = _fixed_rate(chain, signer, price)
    return UnsignedTransaction(abis.FACTORY, factory, function, (nft, datatoken, terms))


def _template_arguments(
    signer: Signer, name: str, symbol: str, market: str, template: int, token_uri: str
) -> tuple[Any, Any]:
    """The factory's arguments for NFT and datatoken."""
    # Template 1 is the basic NFT; True makes it transferable.
    nft = (name, symbol, 1, token_uri, True, signer.address)
    # The contract's order: minter, payment collector (zero: the NFT's owner), market, token of its fee.
    minters = [signer.address, ZERO, checksum_address(market), ZERO]
    return nft, (template, [name, symbol], minters, [_CAP, 0], [])


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
    """Write the (encrypted) DDO as the NFT's metadata; return the transaction's hash."""
    call = metadata_transaction(nft, state, decryptor_url, flags, data, hash, proofs, decryptor_address)
    return hash_of(send(chain, signer, call.contract, call.address, call.function, *call.arguments))


def metadata_transaction(
    nft: str,
    state: int,
    decryptor_url: str,
    flags: int,
    data: bytes,
    hash: str,
    proofs: Sequence[Mapping[str, Any]] = (),
    decryptor_address: str = "",
) -> UnsignedTransaction:
    """The transaction of :func:`set_metadata`.

    ``hash`` is the sha256 of the plain JSON. A proof is what the cache's validate route answers:
    ``{"publicKey", "v", "r": [..], "s": [..]}``.
    """
    arguments = (
        state,
        decryptor_url,
        decryptor_address,
        # The contract takes the flags as ``bytes``, of which readers look at the first.
        bytes([flags]),
        data,
        _bytes32(hash),
        [_proof_tuple(proof) for proof in proofs],
    )
    return UnsignedTransaction(abis.NFT, nft, "setMetaData", arguments)


def set_state(chain: Chain, signer: Signer, nft: str, state: int) -> str:
    """Change the asset's state (active, revoked, …) without touching its document."""
    return hash_of(send(chain, signer, abis.NFT, nft, "setMetaDataState", int(state)))


def mint_tokens(chain: Chain, signer: Signer, datatoken: str, to: str, amount: int = ETHER) -> str:
    """Mint ``amount`` base units of the datatoken for ``to``; return the transaction's hash.

    ``signer`` needs the datatoken's minter role.
    """
    call = mint_transaction(datatoken, to, amount)
    return hash_of(send(chain, signer, call.contract, call.address, call.function, *call.arguments))


def mint_transaction(datatoken: str, to: str, amount: int) -> UnsignedTransaction:
    """Return the transaction of :func:`mint_tokens`."""
    return UnsignedTransaction(abis.DATATOKEN, datatoken, "mint", (checksum_address(to), amount))


def set_price(chain: Chain, signer: Signer, exchange_id: str, amount: int) -> str:
    """Change a fixed rate to ``amount`` base units of its token; return the transaction's hash.

    The exchange refuses anybody but its owner.
    """
    address, exchange = chain.addresses.fixed_price, _bytes32(exchange_id)
    decimals = int(chain.read_view(abis.EXCHANGE, address, "getExchange", exchange)[4])
    # The exchange counts rates with 18 decimals, whatever its token has.
    rate = amount * 10 ** (18 - decimals)
    return hash_of(send(chain, signer, abis.EXCHANGE, address, "setRate", exchange, rate))


def transfer_nft(chain: Chain, signer: Signer, nft: str, to: str) -> str:
    """Hand the NFT over to ``to``; return the transaction's hash."""
    call = transfer_transaction(signer, nft, to)
    return hash_of(send(chain, signer, call.contract, call.address, call.function, *call.arguments))


def transfer_transaction(signer: Signer, nft: str, to: str) -> UnsignedTransaction:
    """Return the transaction that hands the NFT over; the contract takes every role on it and its datatokens
    away with it."""
    return UnsignedTransaction(abis.NFT, nft, "transferFrom", (signer.address, checksum_address(to), 1))


def _fixed_rate(chain: Chain, signer: Signer, price: FixedRateTerms) -> tuple[Any, ...]:
    """Return the factory's terms of a fixed-rate exchange. The signer owns it; its market fee is 0."""
    token = checksum_address(price.token or chain.addresses.ocean)
    rate = price.amount * 10 ** (18 - chain.decimals(token))
    # Base token, owner, market fee's collector, allowed swapper (zero: anybody may buy).
    addresses = [token, signer.address, signer.address, ZERO]
    # Decimals of base token and datatoken, rate, market fee, and 1: the exchange may mint what it sells.
    return (chain.addresses.fixed_price, addresses, [chain.decimals(token), 18, rate, 0, 1])


def _with_pool(chain: Chain, signer: Signer, price: PoolTerms, nft: Any, datatoken: Any) -> CreatedAsset:
    """The factory takes the liquidity, and the staking contract mints the datatokens beside it."""
    pools = chain.addresses.pools
    if pools is None:
        raise Refused(
            "C2D-POOLS-NONE", "this chain has no contracts with pools", "sell at a fixed price instead"
        )
    token = checksum_address(price.token or chain.addresses.ocean)
    decimals, market = chain.decimals(token), datatoken[2][2]
    liquidity = 100 * price.amount if price.liquidity is None else price.liquidity
    # Found out here, since the contract would accept the pool and then never sell.
    if liquidity < 4 * price.amount:
        raise UsageError(
            "C2D-PUBLISH-LIQUIDITY",
            "a pool sells at most a third of what it holds: with less than the price of four datatokens "
            "it sells none",
            "put more in",
        )
    # The pool wants datatokens per base token, the inverse of a price, with 18 decimals.
    rate = ETHER * 10**decimals // price.amount
    # Nothing vests (amount 0), yet the contract demands a period above the router's minimum.
    vesting = (0, int(chain.read_view(abis.ROUTER, pools.router, "getMinVestingPeriod")) + 1)
    terms = (
        [rate, decimals, *vesting, liquidity],
        [int(price.fee * ETHER), 0],
        [pools.staking, token, pools.factory, signer.address, market, pools.template],
    )
    # Another purchase of this account could use the allowance up before the factory does.
    with spending_lock(chain, signer):
        ensure_allowance(chain, signer, token, pools.factory, liquidity)
        function = "createNftWithErc20WithPool"
        return read_creation(
            send(chain, signer, abis.FACTORY, pools.factory, function, nft, datatoken, terms)
        )


def read_creation(receipt: Any) -> CreatedAsset:
    """Return the contracts that the transaction of :func:`creation_transaction` made."""
    names = ("NFTCreated", "TokenCreated", "NewFixedRate", "ExchangeCreated", "NewPool")
    # The receipt is that of our own call to the factory, so the emitters need no check here.
    found = {event.name: event for event in events.decode_logs(receipt["logs"], names)}
    exchange, pool = found.get("ExchangeCreated"), found.get("NewPool")
    return CreatedAsset(
        nft=found["NFTCreated"]["newTokenAddress"],
        datatoken=found["TokenCreated"]["newTokenAddress"],
        exchange_id=exchange["exchangeId"] if exchange else None,
        tx=hash_of(receipt),
        pool=pool["poolAddress"] if pool else None,
    )


def _proof_tuple(proof: Mapping[str, Any]) -> tuple[str, int, bytes, bytes]:
    # The cache answers r and s as lists of one, after Aquarius' own validate route.
    r, s = (value[0] if isinstance(value, list | tuple) else value for value in (proof["r"], proof["s"]))
    return checksum_address(proof["publicKey"]), int(proof["v"]), _bytes32(r), _bytes32(s)


def _bytes32(value: str) -> bytes:
    # Hex of a number may lack its leading zeros.
    return bytes.fromhex(value.removeprefix("0x").rjust(64, "0"))
