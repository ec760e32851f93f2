"""A Provider's signed quote for computing until a given time; the chain supplies the token's decimals."""

from __future__ import annotations

import time

from c2d_box.assets.addresses import ZERO
from c2d_box.chain.node import Chain
from c2d_box.chain.orders.fees import ProviderFee, fee_amount, sign_fee


def quote_fee(
    chain: Chain,
    key: bytes | str,
    *,
    datatoken: str,
    service_id: str,
    environment: str | None = None,
    price_per_minute: float = 0,
    valid_until: int = 0,
    token: str | None = None,
    now: float | None = None,
) -> ProviderFee:
    """Return a signed fee for ``datatoken``'s service; free when the price is 0 or the fee token the zero
    address.

    ``price_per_minute`` is in whole tokens, ``valid_until`` and ``now`` in Unix seconds. ``token``
    defaults to the chain's Ocean token: it has to be a real ERC-20 even where nothing is due, because
    ocean.js asks it for its allowance regardless.
    """
    # One moment for amount and timestamp: the proof measures the confirmation's lag from it.
    moment = time.time() if now is None else now
    fee_token = token or chain.addresses.ocean
    amount = 0
    if price_per_minute > 0 and fee_token != ZERO:
        # From now until valid_until, so a consumer who waits before ordering has paid for the wait.
        amount = fee_amount(valid_until - moment, price_per_minute, chain.decimals(fee_token))
    return sign_fee(
        key,
        datatoken=datatoken,
        service_id=service_id,
        environment=environment,
        token=fee_token,
        amount=amount,
        valid_until=valid_until,
        now=moment,
    )
