"""Checks that computing was paid for: one of the orders' provider fees must cover the time from now to the
latest end.

Fees are not summed. The last order that pays, the algorithm's checked after the datasets', gives the job its
agreement id.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from c2d_box.assets.addresses import same_hex
from c2d_box.chain.orders import Order
from c2d_box.provider.backends.chain_gateway import ChainGateway
from c2d_box.provider.backends.environments import EnvironmentTerms
from c2d_box.provider.errors import compute_refusal

GRACE_SECONDS = 60
"""The seconds that a job still gets where its order's time was over when the order was confirmed."""


@dataclass(frozen=True)
class PaidTime:
    """A job that is paid for. ``agreement`` is the paying item's transaction id, ``valid_until`` is in unix
    seconds, and ``seconds`` is how long the job may run: the shorter of the paid time and the environment's
    limit."""

    agreement: str
    valid_until: int
    seconds: int
    orders: tuple[str, ...]
    """Keys of all the job's orders, each of which carries one job at a time."""


async def paid_until(
    ledger: ChainGateway,
    fee_token: str | None,
    orders: Sequence[tuple[str, Order]],
    environment: EnvironmentTerms,
) -> PaidTime:
    """Return the time that is paid for; raise Refusal where no order's fee covers it. ``orders`` holds
    submitted transaction id and order, datasets first, the algorithm last."""
    now = time.time()
    # The latest end of any order: an older order, used again, may cover less than the new one.
    valid_until = max(order.fee_valid_until for _, order in orders)
    token = await ledger.fee_token(fee_token)
    due = await ledger.fee_amount(valid_until - now, environment.price_per_minute, token)
    # One fee has to cover the whole time alone. With nothing due every order pays, so the last one is the
    # agreement also then.
    payers = [
        tx
        for tx, order in orders
        if not due or (order.fee_amount >= due and same_hex(order.fee_token, token))
    ]
    if not payers:
        raise compute_refusal("order", "fees_not_paid")
    # Each once, in an order that does not depend on the request: operator-service locks the orders by these
    # keys, so that one carries one job at a time.
    keys = tuple(sorted({order.order_key for _, order in orders}))
    seconds = max(1, min(_seconds_left(valid_until, now), environment.longest_seconds))
    return PaidTime(payers[-1], valid_until, seconds, keys)


def _seconds_left(valid_until: int, now: float) -> int:
    """Return the whole seconds until ``valid_until``, at least one. An order whose time is over has been
    confirmed late, and still gets the grace."""
    return max(int(valid_until - now), GRACE_SECONDS if valid_until <= now else 1)
