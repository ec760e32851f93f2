"""Where a datatoken can be had and for how much: a dispenser, or a fixed-rate exchange."""

from __future__ import annotations

from dataclasses import dataclass

from c2d_box.assets.addresses import ZERO, checksum, same
from c2d_box.chain import abis
from c2d_box.chain.node import Chain

WEI = 10**18


@dataclass(frozen=True)
class Offer:
    """One datatoken for ``amount`` base units of ``token`` (market fees included); 0 from a dispenser.

    ``bound``: the source serves only the datatoken itself (enterprise), which buys and orders at once.
    """

    datatoken: str
    source: str
    amount: int = 0
    token: str = ZERO
    exchange_id: str = ""
    bound: bool = False

    @property
    def is_free(self) -> bool:
        return not self.exchange_id


def offer_for(chain: Chain, datatoken: str) -> Offer | None:
    """The cheapest way to get one datatoken now, or None where nobody hands it out."""
    dispenser = _dispenser(chain, datatoken)
    if dispenser:
        return dispenser
    rates = chain.read(abis.DATATOKEN, datatoken, "getFixedRates")
    offers = [_exchange(chain, datatoken, str(address), bytes(exchange)) for address, exchange in rates]
    return min((o for o in offers if o), key=lambda o: o.amount, default=None)


def _dispenser(chain: Chain, datatoken: str) -> Offer | None:
    for address in chain.read(abis.DATATOKEN, datatoken, "getDispensers"):
        status = chain.read(abis.DISPENSER, address, "status", checksum(datatoken))
        active, _owner, is_minter, max_tokens, _max_balance, balance, swapper = status
        if active and max_tokens >= WEI and (is_minter or balance >= WEI) and _open(swapper, datatoken):
            return Offer(checksum(datatoken), checksum(address), bound=swapper != ZERO)
    return None


def _exchange(chain: Chain, datatoken: str, address: str, exchange: bytes) -> Offer | None:
    terms = chain.read(abis.EXCHANGE, address, "getExchange", exchange)
    token, active, supply = str(terms[3]), bool(terms[6]), int(terms[7])
    swapper = chain.read(abis.EXCHANGE, address, "getAllowedSwapper", exchange)
    if not active or supply < WEI or not _open(swapper, datatoken):
        return None
    amount = chain.read(abis.EXCHANGE, address, "calcBaseInGivenOutDT", exchange, WEI, 0)[0]
    return Offer(
        datatoken=checksum(datatoken),
        source=checksum(address),
        amount=int(amount),
        token=checksum(token),
        exchange_id="0x" + exchange.hex(),
        bound=swapper != ZERO,
    )


def _open(swapper: str, datatoken: str) -> bool:
    """Whether anybody may buy: directly, or through the datatoken itself."""
    return swapper == ZERO or same(swapper, datatoken)
