"""Paying: get a datatoken, approve what the order will pull, start or reuse the order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from c2d_box.assets.addresses import ZERO, checksum
from c2d_box.chain import abis
from c2d_box.chain.accounts import Signer
from c2d_box.chain.node import Chain
from c2d_box.chain.orders.fees import as_tuple
from c2d_box.chain.orders.pricing import WEI, Offer, offer_for
from c2d_box.chain.transactions import hash_of, send, spending
from c2d_box.errors import Refused


@dataclass(frozen=True)
class ConsumeMarketFee:
    """What the market through which the consumer orders takes: ``amount`` base units of ``token``."""

    address: str = ZERO
    token: str = ZERO
    amount: int = 0


NO_MARKET = ConsumeMarketFee()


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
    """Make sure ``signer`` holds one datatoken: dispensed, or bought at the fixed rate.

    ``max_price`` (base units, fees included) refuses anything dearer; ``slippage`` is how much above the
    price just read the exchange may still take when the rate changes meanwhile (0.01 = one per cent).
    """
    with spending(chain, signer):
        if chain.balance(signer.address, datatoken) >= WEI:
            return Purchase(None)
        return _buy(chain, signer, _offer(chain, datatoken), max_price, slippage)


def _buy(chain: Chain, signer: Signer, offer: Offer, max_price: int | None, slippage: float) -> Purchase:
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
    limit = _limit(offer, max_price, slippage)
    _require_balance(chain, signer, offer.token, offer.amount)
    _allow(chain, signer, offer.token, offer.source, limit)
    before = chain.balance(signer.address, offer.token)
    arguments = (bytes.fromhex(offer.exchange_id[2:]), WEI, limit, ZERO, 0)
    bought = hash_of(send(chain, signer, abis.EXCHANGE, offer.source, "buyDT", *arguments))
    return Purchase(bought, before - chain.balance(signer.address, offer.token), offer.token)


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
            _buy(chain, signer, offer, max_price, slippage)
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
            _allow(chain, signer, token, offer.datatoken, amount)
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
            _allow(chain, signer, token, datatoken, amount)


def _allow(chain: Chain, signer: Signer, token: str, spender: str, amount: int) -> None:
    allowed = chain.read(abis.DATATOKEN, token, "allowance", signer.address, checksum(spender))
    if int(allowed) < amount:
        send(chain, signer, abis.DATATOKEN, token, "approve", checksum(spender), amount)


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
