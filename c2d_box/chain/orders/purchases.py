"""Paying: get a datatoken, approve what the order will pull, start or reuse the order."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from c2d_box.assets.addresses import ZERO, checksum
from c2d_box.chain import abis, failures
from c2d_box.chain.accounts import Signer
from c2d_box.chain.node import Chain
from c2d_box.chain.orders.fees import as_tuple
from c2d_box.chain.orders.pricing import WEI, Offer, offer_for
from c2d_box.chain.transactions import allow, hash_of, send, spending
from c2d_box.errors import Refused


@dataclass(frozen=True)
class ConsumeMarketFee:
    """What the market through which the consumer orders takes: ``amount`` base units of ``token``."""

    address: str = ZERO
    token: str = ZERO
    amount: int = 0


NO_MARKET = ConsumeMarketFee()
_ANY_SPOT_PRICE = 2**256 - 1
"""What is paid is limited; the price that a purchase leaves behind is not the buyer's concern."""
_ABOVE_LIMIT = re.compile("ERR_LIMIT_IN|Too many base tokens", re.IGNORECASE)


@dataclass(frozen=True)
class Purchase:
    """A datatoken got: ``amount`` of ``token`` was paid in ``tx`` (None: the account already had one)."""

    tx: str | None
    amount: int = 0
    token: str = ZERO


def buy(
    chain: Chain,
    signer: Signer,
    datatoken: str,
    *,
    max_price: int | None = None,
    slippage: float = 0.0,
) -> Purchase:
    """Make sure ``signer`` holds one datatoken: dispensed, or bought at a fixed rate or from a pool.

    ``max_price`` (base units, fees included) refuses anything dearer; ``slippage`` is how much above the
    price just read may still be taken when it rises meanwhile (0.01 = one per cent): other purchases from
    the same pool raise it. Beyond that the contract refuses, and C2D-ORDER-SLIPPAGE says so.
    """
    with spending(chain, signer):
        if chain.balance(signer.address, datatoken) >= WEI:
            return Purchase(None)
        offer = _offer(chain, datatoken)
        return take(chain, signer, offer, _limit(offer, max_price, slippage))


def take(chain: Chain, signer: Signer, offer: Offer, limit: int) -> Purchase:
    """Accept an offer that was read before, for ``limit`` base units at most, whatever it costs by now."""
    datatoken = offer.datatoken
    if offer.bound:
        raise Refused(
            "C2D-ORDER-BOUND",
            f"datatoken {datatoken} is only sold together with an order",
            "order in one step (buy_and_start)",
        )
    if offer.is_free:
        tx = send(chain, signer, abis.DISPENSER, offer.source, "dispense", datatoken, WEI, signer.address)
        return Purchase(hash_of(tx))
    _require_balance(chain, signer, offer.token, offer.amount)
    allow(chain, signer, offer.token, offer.source, limit)
    before = chain.balance(signer.address, offer.token)
    with _within(limit, offer):
        bought = _swap(chain, signer, offer, limit)
    return Purchase(bought, before - chain.balance(signer.address, offer.token), offer.token)


def _swap(chain: Chain, signer: Signer, offer: Offer, limit: int) -> str:
    if offer.kind == "pool":
        tokens = (offer.token, offer.datatoken, ZERO)
        amounts = (limit, WEI, _ANY_SPOT_PRICE, 0)
        return hash_of(send(chain, signer, abis.POOL, offer.source, "swapExactAmountOut", tokens, amounts))
    arguments = (bytes.fromhex(offer.exchange_id[2:]), WEI, limit, ZERO, 0)
    return hash_of(send(chain, signer, abis.EXCHANGE, offer.source, "buyDT", *arguments))


@contextmanager
def _within(limit: int, offer: Offer) -> Iterator[None]:
    """Say that the price rose where the contract's refusal means that."""
    try:
        yield
    except Refused as refused:
        if refused.code != failures.REVERTED or not _ABOVE_LIMIT.search(str(refused.details.get("reason"))):
            raise
        raise Refused(
            "C2D-ORDER-SLIPPAGE",
            f"the price rose above {limit} base units of {offer.token} before the purchase was made",
            "nothing was paid; try again, or allow more slippage",
            limit=limit,
        ) from refused


def start(
    chain: Chain,
    signer: Signer,
    datatoken: str,
    consumer: str,
    service_index: int,
    fee: Mapping[str, Any],
    market: ConsumeMarketFee = NO_MARKET,
) -> str:
    """Order a service for ``consumer``, paying with a datatoken ``signer`` holds; the tx hash."""
    arguments = (checksum(consumer), service_index, as_tuple(fee), _market(market))
    with spending(chain, signer):
        _approve(chain, signer, datatoken, _all_due(chain, datatoken, fee, market))
        return hash_of(send(chain, signer, abis.DATATOKEN, datatoken, "startOrder", *arguments))


def reuse(chain: Chain, signer: Signer, datatoken: str, order_tx: str, fee: Mapping[str, Any]) -> str:
    """Extend an order: pays only the new provider fee; the tx hash."""
    order = bytes.fromhex(order_tx.removeprefix("0x"))
    with spending(chain, signer):
        _approve(chain, signer, datatoken, _due(fee, NO_MARKET))
        return hash_of(send(chain, signer, abis.DATATOKEN, datatoken, "reuseOrder", order, as_tuple(fee)))


def buy_and_start(
    chain: Chain,
    signer: Signer,
    datatoken: str,
    consumer: str,
    service_index: int,
    fee: Mapping[str, Any],
    market: ConsumeMarketFee = NO_MARKET,
    *,
    max_price: int | None = None,
    slippage: float = 0.0,
) -> str:
    """:func:`buy` where needed, then :func:`start`; the hash of the order's transaction."""
    with spending(chain, signer):
        if chain.balance(signer.address, datatoken) < WEI:
            offer = _offer(chain, datatoken)
            if offer.bound:
                limit = _limit(offer, max_price, slippage)
                service = (checksum(consumer), service_index)
                return _order_at_source(chain, signer, offer, limit, service, fee, market)
            take(chain, signer, offer, _limit(offer, max_price, slippage))
        return start(chain, signer, datatoken, consumer, service_index, fee, market)


def _offer(chain: Chain, datatoken: str) -> Offer:
    offer = offer_for(chain, datatoken)
    if offer is None:
        raise Refused(
            "C2D-ORDER-NOT-FOR-SALE",
            f"nobody dispenses or sells datatoken {datatoken}",
            "ask its publisher for one, or for a price",
        )
    return offer


def _limit(offer: Offer, max_price: int | None, slippage: float) -> int:
    """The most the exchange may take, or Refused when even the price just read is above ``max_price``."""
    if max_price is not None and offer.amount > max_price:
        raise Refused(
            "C2D-ORDER-TOO-DEAR",
            f"the datatoken costs {offer.amount} base units of {offer.token}, more than {max_price}",
            "raise the limit or wait for a lower price",
            price=offer.amount,
            limit=max_price,
        )
    limit = offer.amount + int(offer.amount * slippage)
    return limit if max_price is None else min(limit, max_price)


def _order_at_source(
    chain: Chain,
    signer: Signer,
    offer: Offer,
    limit: int,
    service: tuple[str, int],
    fee: Mapping[str, Any],
    market: ConsumeMarketFee,
) -> str:
    """Enterprise datatokens buy from their own dispenser or exchange and order in one transaction."""
    due = _all_due(chain, offer.datatoken, fee, market)
    order = (*service, as_tuple(fee), _market(market))
    source: Any
    if offer.is_free:
        function, source = "buyFromDispenserAndOrder", offer.source
    else:
        _require_balance(chain, signer, offer.token, offer.amount + due[offer.token])
        due[offer.token] += limit
        function = "buyFromFreAndOrder"
        source = (offer.source, bytes.fromhex(offer.exchange_id[2:]), limit, 0, ZERO)
    for token, amount in due.items():
        if amount > 0 and token != ZERO:
            allow(chain, signer, token, offer.datatoken, amount)
    with _within(limit, offer):
        return hash_of(send(chain, signer, abis.ENTERPRISE, offer.datatoken, function, order, source))


def _all_due(
    chain: Chain, datatoken: str, fee: Mapping[str, Any], market: ConsumeMarketFee
) -> defaultdict[str, int]:
    """:func:`_due` and the fee of the market where the datatoken was published."""
    due = _due(fee, market)
    address, token, amount = chain.read(abis.DATATOKEN, datatoken, "getPublishingMarketFee")
    if address != ZERO and token != ZERO:
        due[checksum(token)] += int(amount)
    return due


def _market(market: ConsumeMarketFee) -> tuple[str, str, int]:
    return checksum(market.address), checksum(market.token), market.amount


def _due(fee: Mapping[str, Any], market: ConsumeMarketFee) -> defaultdict[str, int]:
    """What the datatoken will pull from the payer, per token."""
    due: defaultdict[str, int] = defaultdict(int)
    due[checksum(fee["providerFeeToken"])] += int(fee["providerFeeAmount"])
    if market.address != ZERO:
        due[checksum(market.token)] += market.amount
    return due


def _approve(chain: Chain, signer: Signer, datatoken: str, due: Mapping[str, int]) -> None:
    for token, amount in due.items():
        if amount > 0 and token != ZERO:
            _require_balance(chain, signer, token, amount)
            allow(chain, signer, token, datatoken, amount)


def _require_balance(chain: Chain, signer: Signer, token: str, amount: int) -> None:
    held = chain.balance(signer.address, token)
    if held < amount:
        raise Refused(
            "C2D-ORDER-FUNDS",
            f"{signer.address} holds {held} base units of {token}, {amount} are due",
            "get more of that token (faucet) and try again",
            held=held,
            due=amount,
            token=token,
        )
