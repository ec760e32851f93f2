"""Paying exactly what was quoted, within the payer's limits, and saying what was paid where it breaks off.

Limits, balances and coins for gas are looked at before the first transaction: nobody pays for half a job
because the other half is too dear, or for want of funds. Where a start breaks off all the same, its orders
stand on the chain: the same start finds them again and pays only what is missing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from c2d_box.assets.addresses import checksum_address, is_address
from c2d_box.client.payment.quotes import ItemCost, OrderQuote
from c2d_box.errors import C2DError, Refused, UsageError

if TYPE_CHECKING:
    from c2d_box.chain import Chain, Signer

GOES_ON = "what is paid is not lost: the same command uses it and pays only what is missing"


@dataclass(frozen=True)
class PaymentTransaction:
    """A transaction that paid for ``did``: for its ``datatoken``, its ``order``, or an ``extension``."""

    did: str
    what: str
    tx: str


SpendingLimits = Mapping[str, int]
"""The most to pay per token, in base units. A token that is not named may not be paid at all."""


def pay_quote(
    chain: Chain,
    signer: Signer,
    quote: OrderQuote,
    consumer: str,
    limits: SpendingLimits | None = None,
    slippage: float = 0.0,
    payments: list[PaymentTransaction] | None = None,
) -> list[str]:
    """Order, extend or reuse each item; return the transaction per item that proves it, in the order of the
    items.

    With ``limits`` nothing is sent where a token's sum is above its limit (C2D-ORDER-TOO-DEAR), and
    ``slippage`` ends at them too. ``payments`` grows by each transaction that paid.
    """
    from c2d_box.chain import orders

    # Limits and balances of every token, then gas: after this, each payment is expected to succeed.
    room = _room_below_limits(chain, signer, quote, limits)
    orders.demand_gas(chain, signer, gas_of(quote))
    # The caller's own list where given: it reports payments that precede an error outside of here.
    made: list[PaymentTransaction] = [] if payments is None else payments
    proofs = []
    with reporting_payments(made):
        for position, cost in enumerate(quote.costs):
            extra = int(cost.price * slippage)
            # Several items share a token's limit, so each takes its slippage out of what is left.
            if cost.token in room:
                extra = min(extra, room[cost.token])
                room[cost.token] -= extra
            proofs.append(_pay_item(chain, signer, quote, position, consumer, extra, made))
    return proofs


def gas_of(quote: OrderQuote) -> int:
    """Return the units of gas that paying takes at most.

    Each token that is due has to be approved once per item, that of the price apart from those of the
    fees: their spenders differ.
    """
    from c2d_box.chain import orders

    return sum(orders.most_gas(cost.action, len(cost.order_fees) + (cost.price > 0)) for cost in quote.costs)


@contextmanager
def reporting_payments(payments: list[PaymentTransaction]) -> Iterator[None]:
    """Add to an error from within what had been paid by then, and that it is not lost."""
    try:
        yield
    except C2DError as error:
        # A nested call has told it already.
        if not payments or "paid" in error.details:
            raise
        told = "; ".join(f"{payment.what} of {payment.did} in {payment.tx}" for payment in payments)
        # Changed in place, so that code and type, on which callers and scripts match, stay.
        error.message = f"{error.message}. Paid before: {told}"
        error.next_step = f"{error.next_step}; {GOES_ON}" if error.next_step else GOES_ON
        error.details["paid"] = [asdict(payment) for payment in payments]
        error.args = (f"{error.code}: {error.message}",)
        raise


def _pay_item(
    chain: Chain,
    signer: Signer,
    quote: OrderQuote,
    position: int,
    consumer: str,
    extra: int,
    payments: list[PaymentTransaction],
) -> str:
    """Pay for one item and return the transaction that proves it; ``extra`` is how much its price may have
    risen."""
    from c2d_box.chain import orders

    item, answer, cost = quote.items[position], quote.answers[position], quote.costs[position]
    token, fee = item.service.datatoken_address, _provider_fee(answer)
    # The order still covers everything: its transaction is the proof, and nothing is sent.
    if cost.action == "none":
        return str(answer["validOrder"])
    if cost.action == "extend":
        tx = orders.reuse_order(chain, signer, token, str(answer["validOrder"]), fee)
        # Noted at once: the next item may fail.
        payments.append(PaymentTransaction(cost.did, "extension", tx))
        return tx
    tx = orders.buy_and_start(
        chain,
        signer,
        token,
        consumer,
        item.index,
        fee,
        quote.market or orders.NO_MARKET,
        # Price, slippage and fees as quoted: the contracts enforce what the limits were held against.
        max_price=cost.price + extra,
        slippage=_slippage_share(extra, cost),
        most_fees=cost.order_fees,
        record=lambda what, paid: payments.append(PaymentTransaction(cost.did, what, paid)),
    )
    payments.append(PaymentTransaction(cost.did, "order", tx))
    return tx


def _slippage_share(extra: int, cost: ItemCost) -> float:
    """Return ``extra`` as the slippage that it is; ``max_price`` bounds what rounding adds."""
    return (extra + 1) / cost.price if extra else 0.0


def _provider_fee(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the fee of a Provider's answer; an empty one where the order needs none."""
    fee: Mapping[str, Any] = answer.get("providerFee") or {}
    return fee


def _room_below_limits(
    chain: Chain, signer: Signer, quote: OrderQuote, limits: SpendingLimits | None
) -> dict[str, int]:
    """Return what each limit leaves above the quoted sum; Refused where a limit or the funds are below it."""
    from c2d_box.chain.amounts import amount_text

    # Keys in one spelling: limits come from users, the quote's tokens from the chain.
    ceilings = None if limits is None else {_token_address(token): amount for token, amount in limits.items()}
    for token, due in quote.totals.items():
        text = amount_text(chain, due, token)
        # The limit before the balance: "too dear" is the answer even where the funds are short as well.
        if ceilings is not None and due > ceilings.get(token, 0):
            raise _too_dear(chain, token, due, ceilings, text)
        held = chain.balance_of(signer.address, token)
        if held < due:
            raise Refused(
                "C2D-ORDER-FUNDS",
                f"{signer.address} holds {amount_text(chain, held, token)}, {text} are due",
                "get more of that token (faucet) and try again",
                due=due,
                held=held,
                token=token,
            )
    if ceilings is None:
        return {}
    # What is left of each limit may go into slippage, and no more.
    return {token: ceilings.get(token, 0) - due for token, due in quote.totals.items()}


def _too_dear(chain: Chain, token: str, due: int, ceilings: SpendingLimits, text: str) -> Refused:
    """Return the refusal for a sum above its limit, or of a token that no limit names."""
    from c2d_box.chain.amounts import amount_text, token_name

    if token in ceilings:
        most = amount_text(chain, ceilings[token], token)
        message, step = (
            f"it costs {text}, more than the limit {most}",
            "raise the limit, or ask for less time",
        )
    else:
        name = token_name(chain, token)
        message = f"it also costs {text}, and no limit names {name}: nothing of it may be paid"
        step = f"name a limit for it too (--max-price AMOUNT:{name})"
    return Refused("C2D-ORDER-TOO-DEAR", message, step, due=due, limit=ceilings.get(token, 0), token=token)


def _token_address(token: str) -> str:
    """Return the checksummed address of a limit's token; UsageError for anything that is no address."""
    if not is_address(token):
        raise UsageError("C2D-USAGE-TOKEN", f"{token} is no token's address", "give a limit per address")
    return checksum_address(token)
