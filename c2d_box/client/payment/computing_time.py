"""Computes when the time ends that a job pays for: from now, or left over from a start that broke off.

A Provider counts the seconds from the moment it is asked, so two quotes of the same time differ by the second
that one of the questions was slower. A limit that is the sum of an earlier quote has to suffice all the same.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from c2d_box.assets.addresses import same_hex
from c2d_box.client.jobs import JobDetails
from c2d_box.client.payment.quotes import OrderItem, OrderQuote, paid_until

if TYPE_CHECKING:
    from c2d_box.chain import Chain

MOST_SECONDS_LESS = 10
"""The most seconds by which a job may become shorter to fit its limit. It is what a quote and its repetition
differ by, not more: a limit for half of the time is refused."""


def end_of_time(
    chain: Chain,
    items: Sequence[OrderItem],
    environment: str,
    seconds: int,
    jobs: Sequence[JobDetails],
) -> int:
    """Return when the job's time ends: ``seconds`` from now, or when what a broken start paid for ends, where
    that is at least half of them. A Provider that does not tell its jobs' orders cannot say which orders no
    job has used."""
    now = int(time.time())
    # Guessing would pay for a job with an order that another one has used.
    if any(not job.orders for job in jobs):
        return now + seconds
    used = orders_of(jobs)
    paid = [paid_until(chain, item, environment, used) for item in items]
    # Half of the time is worth more to the consumer than a second payment; less than that is not.
    left = [until for until in paid if until is not None and now + seconds / 2 <= until < now + seconds]
    # The job runs until the first of its fees ends.
    return min(left, default=now + seconds)


def orders_of(jobs: Sequence[JobDetails]) -> set[str]:
    """Return the orders of jobs, by key, and by transaction where a Provider tells only that."""
    return {order for job in jobs for order in (*job.orders, job.agreement)}


def end_within(quote: OrderQuote, limits: Mapping[str, int] | None) -> int | None:
    """Return an end a few seconds earlier, for which the Provider's fee keeps to ``limits``; None where the
    quote keeps to them already, or a few seconds do not help."""
    if limits is None:
        return None
    left, less = quote.valid_until - time.time(), 0
    for token, due in quote.totals.items():
        # Tokens in limits may be spelled in either case; a token without a limit has the limit 0.
        above = due - next((most for named, most in limits.items() if same_hex(named, token)), 0)
        if above <= 0:
            continue
        fee = sum(cost.fee for cost in quote.costs if same_hex(cost.fee_token, token))
        # Even a job of no time at all would cost too much: the price is above the limit, not the seconds.
        if above >= fee:
            return None
        # The fee is proportional to time; one second more covers the rounding.
        less = max(less, math.ceil(left * above / fee) + 1)
    return quote.valid_until - less if 0 < less <= min(MOST_SECONDS_LESS, left / 2) else None
