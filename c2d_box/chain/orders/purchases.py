"""Paying: get a datatoken, approve what the order will pull, start or reuse the order."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from c2d_box.assets.addresses import ZERO, checksum_address
from c2d_box.chain import abis, failures
from c2d_box.chain.accounts import Signer
from c2d_box.chain.amounts import amount_text
from c2d_box.chain.node import Chain
from c2d_box.chain.orders.fees import as_tuple
from c2d_box.chain.orders.pricing import DatatokenOffer, offer_for
from c2d_box.chain.transactions import ensure_allowance, hash_of, send, spending_lock
from c2d_box.errors import Refused
from c2d_box.units import ETHER


@dataclass(frozen=True)
class ConsumeMarketFee:
    """The fee of the market through which the consumer orders: ``amount`` base units of ``token``."""

    address: str = ZERO
    token: str = ZERO
    amount: int = 0


# Ordered directly: the contract takes no market fee when the address is zero.
NO_MARKET = ConsumeMarketFee()
RecordPayment = Callable[[str, str], None]
"""Callback for each payment, called once a block has it: with what was got (``datatoken``), and the
transaction."""
_ANY_SPOT_PRICE = 2**256 - 1
"""No limit on the price that a purchase leaves behind: it is not the buyer's concern. What is paid is
limited."""
# The words in the reverts of BPool and FixedRateExchange; they are part of the deployed contracts.
_ABOVE_LIMIT = re.compile("ERR_LIMIT_IN|Too many base tokens", re.IGNORECASE)


@dataclass(frozen=True)
class Purchase:
    """A datatoken got: ``amount`` of ``token`` was paid in ``tx`` (None: the account already had one)."""

    tx: str | None
    amount: int = 0
    token: str = ZERO


def buy_datatoken(
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
    with spending_lock(chain, signer):
        # A datatoken left over from a start that broke off is used before another one is bought.
        if chain.balance_of(signer.address, datatoken) >= ETHER:
            return Purchase(None)
        offer = _require_offer(chain, datatoken)
        return accept_offer(chain, signer, offer, _price_limit(chain, offer, max_price, slippage))


def accept_offer(chain: Chain, signer: Signer, offer: DatatokenOffer, limit: int) -> Purchase:
    """Accept an offer that was read before, for ``limit`` base units at most, whatever it costs by now."""
    datatoken = offer.datatoken
    # The contract would refuse with words that tell the payer nothing to do.
    if offer.bound:
        raise Refused(
            "C2D-ORDER-BOUND",
            f"datatoken {datatoken} is only sold together with an order",
            "order in one step (buy_and_start)",
        )
    # Nothing to pay, so neither balance nor allowance matters.
    if offer.is_free:
        tx = send(chain, signer, abis.DISPENSER, offer.source, "dispense", datatoken, ETHER, signer.address)
        return Purchase(hash_of(tx))
    # Looked at first: an approval alone would already cost gas.
    _require_balance(chain, signer, offer.token, offer.amount)
    # Not exact: a limit above the price leaves some over, which the next purchase may use.
    ensure_allowance(chain, signer, offer.token, offer.source, limit)
    # The receipt of a pool does not name the price; the payer's balance does.
    before = chain.balance_of(signer.address, offer.token)
    with _within_limit(chain, limit, offer):
        bought = _swap_tokens(chain, signer, offer, limit)
    return Purchase(bought, before - chain.balance_of(signer.address, offer.token), offer.token)


def _swap_tokens(chain: Chain, signer: Signer, offer: DatatokenOffer, limit: int) -> str:
    """Buy one datatoken from a pool or an exchange for ``limit`` base units at most; return the tx hash."""
    if offer.kind == "pool":
        tokens = (offer.token, offer.datatoken, ZERO)
        amounts = (limit, ETHER, _ANY_SPOT_PRICE, 0)
        return hash_of(send(chain, signer, abis.POOL, offer.source, "swapExactAmountOut", tokens, amounts))
    # ZERO and 0: no consume market takes a fee of the purchase itself.
    arguments = (bytes.fromhex(offer.exchange_id[2:]), ETHER, limit, ZERO, 0)
    return hash_of(send(chain, signer, abis.EXCHANGE, offer.source, "buyDT", *arguments))


@contextmanager
def _within_limit(chain: Chain, limit: int, offer: DatatokenOffer) -> Iterator[None]:
    """Raise C2D-ORDER-SLIPPAGE where the contract's refusal means that the price rose."""
    try:
        yield
    except Refused as refused:
        # Any other refusal keeps its own code and words.
        if refused.code != failures.REVERTED or not _ABOVE_LIMIT.search(str(refused.details.get("reason"))):
            raise
        raise Refused(
            "C2D-ORDER-SLIPPAGE",
            f"the price rose above {amount_text(chain, limit, offer.token)} before the purchase was made",
            "this purchase was not made; try again, or allow more slippage",
            limit=limit,
        ) from refused


def start_order(
    chain: Chain,
    signer: Signer,
    datatoken: str,
    consumer: str,
    service_index: int,
    fee: Mapping[str, Any],
    market: ConsumeMarketFee = NO_MARKET,
) -> str:
    """Order a service for ``consumer``, paying with a datatoken that ``signer`` holds; return the tx hash."""
    with spending_lock(chain, signer):
        # Read right before they are approved: a market may change its fee at any moment.
        due = order_fees(chain, datatoken, fee, market)
        order = (checksum_address(consumer), service_index, as_tuple(fee), _market_tuple(market))
        return _send_order(chain, signer, datatoken, order, due)


def _send_order(
    chain: Chain, signer: Signer, datatoken: str, order: tuple[Any, ...], due: Mapping[str, int]
) -> str:
    """Approve the fees and send ``startOrder``; return the tx hash. The caller holds the spending lock."""
    _approve(chain, signer, datatoken, due)
    return hash_of(send(chain, signer, abis.DATATOKEN, datatoken, "startOrder", *order))


def reuse_order(chain: Chain, signer: Signer, datatoken: str, order_tx: str, fee: Mapping[str, Any]) -> str:
    """Extend an order, which takes only the new provider fee; return the tx hash."""
    order = bytes.fromhex(order_tx.removeprefix("0x"))
    with spending_lock(chain, signer):
        # A reuse takes no market's fee: neither contract nor publisher are paid a second time.
        _approve(chain, signer, datatoken, _fees_due(fee, NO_MARKET))
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
    most_fees: Mapping[str, int] | None = None,
    record: RecordPayment | None = None,
) -> str:
    """:func:`buy_datatoken` where needed, then :func:`start_order`; the hash of the order's transaction.

    Everything due is compared with the balances before the first transaction. ``most_fees`` are the most
    that the order itself may take per token (:func:`order_fees` when it was quoted; None: whatever it takes
    now): Refused C2D-ORDER-FEE-ROSE beyond.
    """
    order = (checksum_address(consumer), service_index, as_tuple(fee), _market_tuple(market))
    with spending_lock(chain, signer):
        due = order_fees(chain, datatoken, fee, market)
        # Before the datatoken is bought: after that, refusing would leave it paid for and unused.
        _demand_as_quoted(chain, due, most_fees)
        # Bought only where the account has none left of an earlier start or a mint.
        if chain.balance_of(signer.address, datatoken) < ETHER:
            offer = _require_offer(chain, datatoken)
            limit = _price_limit(chain, offer, max_price, slippage)
            # Price and fees may be in one token, so they are compared as a sum.
            _require_all(chain, signer, {**due, offer.token: due.get(offer.token, 0) + offer.amount})
            if offer.bound:
                return _order_at_source(chain, signer, offer, limit, order, due)
            bought = accept_offer(chain, signer, offer, limit)
            # Recorded before the order: if that fails, the payer learns what the money bought.
            if record is not None and bought.tx is not None:
                record("datatoken", bought.tx)
        return _send_order(chain, signer, datatoken, order, due)


def _require_offer(chain: Chain, datatoken: str) -> DatatokenOffer:
    """Return the cheapest offer. Raise Refused C2D-ORDER-NOT-FOR-SALE where there is none, which is no fault
    of the payer's."""
    offer = offer_for(chain, datatoken)
    if offer is None:
        raise Refused(
            "C2D-ORDER-NOT-FOR-SALE",
            f"nobody dispenses or sells datatoken {datatoken}",
            "ask its publisher for one, or for a price",
        )
    return offer


def _price_limit(chain: Chain, offer: DatatokenOffer, max_price: int | None, slippage: float) -> int:
    """Return the most the exchange may take; raise Refused when even the price just read is above
    ``max_price``."""
    if max_price is not None and offer.amount > max_price:
        raise Refused(
            "C2D-ORDER-TOO-DEAR",
            f"the datatoken costs {amount_text(chain, offer.amount, offer.token)}, more than "
            f"{amount_text(chain, max_price, offer.token)}",
            "raise the limit or wait for a lower price",
            price=offer.amount,
            limit=max_price,
        )
    # Slippage never lifts the payer's own limit.
    limit = offer.amount + int(offer.amount * slippage)
    return limit if max_price is None else min(limit, max_price)


def _order_at_source(
    chain: Chain,
    signer: Signer,
    offer: DatatokenOffer,
    limit: int,
    order: tuple[Any, ...],
    due: Mapping[str, int],
) -> str:
    """Buy and order in one transaction: enterprise datatokens buy from their own dispenser or exchange."""
    # The purchase, as the enterprise contract takes it behind the order.
    source: Any
    allowed = dict(due)
    if offer.is_free:
        # Free: there is nothing to approve but the order's own fees.
        function, source = "buyFromDispenserAndOrder", offer.source
    else:
        allowed[offer.token] = allowed.get(offer.token, 0) + limit
        function = "buyFromFreAndOrder"
        source = (offer.source, bytes.fromhex(offer.exchange_id[2:]), limit, 0, ZERO)
    # The datatoken contract is the spender here: it pays the exchange on the buyer's behalf.
    for token, amount in allowed.items():
        ensure_allowance(chain, signer, token, offer.datatoken, amount, exactly=True)
    with _within_limit(chain, limit, offer):
        return hash_of(send(chain, signer, abis.ENTERPRISE, offer.datatoken, function, order, source))


def order_fees(
    chain: Chain, datatoken: str, fee: Mapping[str, Any], market: ConsumeMarketFee = NO_MARKET
) -> dict[str, int]:
    """Return what an order takes from the payer besides the datatoken, in base units per token: the fees of
    the Provider, of the market where the datatoken was published, and of the one through which it is ordered.
    """
    due = _fees_due(fee, market)
    token, amount = publishing_fee(chain, datatoken)
    if amount:
        due[token] += amount
    # A fee in the zero address is none: the contract skips it.
    return {token: amount for token, amount in due.items() if amount and token != ZERO}


def publishing_fee(chain: Chain, datatoken: str) -> tuple[str, int]:
    """Return token and base units that the market where the datatoken was published takes for an order; the
    zero address and 0 where it takes nothing."""
    address, token, amount = chain.read_view(abis.DATATOKEN, datatoken, "getPublishingMarketFee")
    return (ZERO, 0) if ZERO in (address, token) or not amount else (checksum_address(token), int(amount))


def _demand_as_quoted(chain: Chain, due: Mapping[str, int], most: Mapping[str, int] | None) -> None:
    """Raise C2D-ORDER-FEE-ROSE where more is due than was quoted: a market may raise its fee at
    any moment."""
    for token, amount in due.items():
        # A token that was not quoted at all has the limit 0.
        if most is not None and amount > most.get(token, 0):
            quoted = amount_text(chain, most.get(token, 0), token)
            raise Refused(
                "C2D-ORDER-FEE-ROSE",
                f"the order takes {amount_text(chain, amount, token)} in fees, {quoted} were quoted",
                "this order was not made; look at the new price (quote) before trying again",
                due=amount,
                quoted=most.get(token, 0),
                token=token,
            )


def _market_tuple(market: ConsumeMarketFee) -> tuple[str, str, int]:
    """Return the consume market's fee in the order of the contract's struct."""
    return checksum_address(market.address), checksum_address(market.token), market.amount


def _fees_due(fee: Mapping[str, Any], market: ConsumeMarketFee) -> defaultdict[str, int]:
    """Return what the datatoken will pull from the payer, per token."""
    due: defaultdict[str, int] = defaultdict(int)
    # Several fees may be in one token, and one allowance has to cover them all.
    due[checksum_address(fee["providerFeeToken"])] += int(fee["providerFeeAmount"])
    if market.address != ZERO:
        due[checksum_address(market.token)] += market.amount
    return due


def _approve(chain: Chain, signer: Signer, datatoken: str, due: Mapping[str, int]) -> None:
    """Approve exactly what is due: an allowance is the only limit that a market's fee, raised meanwhile,
    meets."""
    due = {token: amount for token, amount in due.items() if amount > 0 and token != ZERO}
    # All balances before the first approval, so that a refusal costs no gas.
    _require_all(chain, signer, due)
    for token, amount in due.items():
        ensure_allowance(chain, signer, token, datatoken, amount, exactly=True)


def _require_all(chain: Chain, signer: Signer, due: Mapping[str, int]) -> None:
    """Raise Refused C2D-ORDER-FUNDS where the account holds less than is due of any token."""
    for token, amount in due.items():
        if amount > 0 and token != ZERO:
            _require_balance(chain, signer, token, amount)


def _require_balance(chain: Chain, signer: Signer, token: str, amount: int) -> None:
    """Raise Refused C2D-ORDER-FUNDS where the account holds less than ``amount`` base units of ``token``.

    The contract would refuse too, but without saying which token is short, and after gas was paid.
    """
    held = chain.balance_of(signer.address, token)
    if held < amount:
        raise Refused(
            "C2D-ORDER-FUNDS",
            f"{signer.address} holds {amount_text(chain, held, token)}, "
            f"{amount_text(chain, amount, token)} are due",
            "get more of that token (faucet) and try again",
            held=held,
            due=amount,
            token=token,
        )
