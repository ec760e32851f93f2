"""Offers of a datatoken and their prices: from a dispenser, a fixed-rate exchange, or a pool."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from c2d_box.assets.addresses import ZERO, checksum_address, same_hex
from c2d_box.chain import abis
from c2d_box.chain.node import Chain
from c2d_box.chain.views import ViewCall
from c2d_box.units import ETHER

OfferKind = Literal["free", "fixed", "pool"]


@dataclass(frozen=True)
class DatatokenOffer:
    """One datatoken for ``amount`` base units of ``token`` (fees and the pool's curve included).

    ``fees`` is the part of ``amount`` that Ocean, the publishing market and a pool's owners take for the
    purchase. ``rate`` is the bare price in whole tokens: no fees, and of a pool that of a vanishing purchase.
    ``bound``: the source serves only the datatoken itself (enterprise), which buys and orders at once.
    """

    datatoken: str
    # The dispenser, exchange or pool contract; the payer approves its token to this address.
    source: str
    kind: OfferKind = "free"
    amount: int = 0
    token: str = ZERO
    rate: float = 0.0
    exchange_id: str = ""
    bound: bool = False
    fees: int = 0

    @property
    def is_free(self) -> bool:
        """True for a dispenser: the datatoken costs nothing, while the order may still take fees."""
        return self.kind == "free"


def offer_for(chain: Chain, datatoken: str) -> DatatokenOffer | None:
    """Return the cheapest way to get one datatoken now, or None where no source hands it out."""
    # The datatoken's own lists: contracts that its owner attached. One request for the three.
    questions = ("getDispensers", "getFixedRates", "getPools")
    views = [ViewCall(abis.DATATOKEN, datatoken, question) for question in questions]
    # A datatoken without one of these functions (enterprise: no getPools) answers None, an empty list.
    dispensers, rates, pools = (answer or () for answer in chain.read_many(views))
    # Free beats every price, so the others are not even asked for theirs.
    if dispenser := _dispenser_offer(chain, datatoken, dispensers):
        return dispenser
    offers = [_exchange_offer(chain, datatoken, str(address), bytes(exchange)) for address, exchange in rates]
    offers += [_pool_offer(chain, datatoken, str(address)) for address in pools]
    # Amounts of different tokens are compared as numbers: there is no rate between them to go by.
    return min((o for o in offers if o), key=lambda o: o.amount, default=None)


def _dispenser_offer(chain: Chain, datatoken: str, addresses: Sequence[str]) -> DatatokenOffer | None:
    """Return the first dispenser that would hand out a whole datatoken now, None where there is none."""
    for address in addresses:
        status = chain.read_view(abis.DISPENSER, address, "status", checksum_address(datatoken))
        active, _owner, is_minter, max_tokens, _max_balance, balance, swapper = status
        # max_tokens below one whole datatoken hands out too little for an order.
        if (
            active
            and max_tokens >= ETHER
            and (is_minter or balance >= ETHER)
            and _is_open(swapper, datatoken)
        ):
            return DatatokenOffer(
                checksum_address(datatoken), checksum_address(address), bound=swapper != ZERO
            )
    return None


def _exchange_offer(chain: Chain, datatoken: str, address: str, exchange: bytes) -> DatatokenOffer | None:
    """Return a fixed-rate exchange's offer with its fees, None where it is not active, sells nothing or not
    to everybody."""
    terms = chain.read_view(abis.EXCHANGE, address, "getExchange", exchange)
    # The positions are those of the contract's Exchange struct.
    token, active, supply = str(terms[3]), bool(terms[6]), int(terms[7])
    swapper = chain.read_view(abis.EXCHANGE, address, "getAllowedSwapper", exchange)
    # An exchange that may not mint sells only what it holds.
    if not active or supply < ETHER or not _is_open(swapper, datatoken):
        return None
    # The exchange adds its fees itself; the rate alone would be too low a limit.
    amount, *fees = chain.read_view(abis.EXCHANGE, address, "calcBaseInGivenOutDT", exchange, ETHER, 0)
    return DatatokenOffer(
        datatoken=checksum_address(datatoken),
        source=checksum_address(address),
        kind="fixed",
        amount=int(amount),
        token=checksum_address(token),
        rate=int(terms[5]) / ETHER,
        exchange_id="0x" + exchange.hex(),
        bound=swapper != ZERO,
        fees=sum(map(int, fees)),
    )


def _pool_offer(chain: Chain, datatoken: str, address: str) -> DatatokenOffer | None:
    """Return what a pool asks. The datatoken itself lists its pools, so the address needs no further proof.

    A pool sells at most a third of what it holds at once: one that holds too little for that answers nothing,
    and there is no offer.
    """
    token = checksum_address(chain.read_view(abis.POOL, address, "getBaseTokenAddress"))
    # One batch, so that price and reserves are answered close together.
    asked: tuple[tuple[str, tuple[object, ...]], ...] = (
        ("isFinalized", ()),
        ("getBalance", (checksum_address(datatoken),)),
        ("getBalance", (token,)),
        ("getAmountInExactOut", (token, checksum_address(datatoken), ETHER, 0)),
    )
    answers = chain.read_many([ViewCall(abis.POOL, address, *question) for question in asked])
    finalized, held, paid_in, amounts = answers
    if not finalized or amounts is None:
        return None
    return DatatokenOffer(
        datatoken=checksum_address(datatoken),
        source=checksum_address(address),
        kind="pool",
        amount=int(amounts[0]),
        token=token,
        # The spot price of two equal weights: base tokens per datatoken.
        rate=int(paid_in) / 10 ** chain.decimals(token) / (int(held) / ETHER),
        fees=sum(map(int, amounts[1:])),
    )


def _is_open(swapper: str, datatoken: str) -> bool:
    """Return whether anybody may buy: directly, or through the datatoken itself."""
    return swapper == ZERO or same_hex(swapper, datatoken)
