"""A publisher's price for an asset, in whole tokens, and its terms on the chain."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from c2d_box.errors import UsageError

if TYPE_CHECKING:
    from c2d_box.chain import Chain
    from c2d_box.chain.publishing import SaleTerms

# Whole tokens. Text and Decimal are exact; a float is read as the digits that it prints.
Amount = float | str | Decimal


@dataclass(frozen=True)
class PoolPrice:
    """Sold from a pool: ``price`` is the first price of a datatoken, every purchase raises it.

    ``liquidity`` is what the publisher puts in (default: the price of a hundred datatokens); ``fee`` is the
    part of every purchase that stays in the pool.
    """

    price: Amount
    liquidity: Amount | None = None
    fee: float = 0.001


def sale_terms(chain: Chain, price: Amount | PoolPrice, token: str | None = None) -> SaleTerms:
    """Return ``price`` as terms in base units of ``token`` (default OCEAN); 0 is free.

    Raises UsageError for what is no price, and for one below the token's smallest unit.
    """
    from c2d_box.chain.publishing import DispenserTerms, FixedRateTerms, PoolTerms

    if isinstance(price, PoolPrice):
        first = _price_units(chain, price.price, token)
        put_in = None if price.liquidity is None else _price_units(chain, price.liquidity, token)
        # A pool's rate is the inverse of its first price.
        if first == 0:
            raise UsageError("C2D-PUBLISH-PRICE", "a pool needs a first price", "give it in tokens per order")
        return PoolTerms(first, token, put_in, price.fee)
    amount = _price_units(chain, price, token)
    return FixedRateTerms(amount, token) if amount else DispenserTerms()


def _price_units(chain: Chain, amount: Amount, token: str | None) -> int:
    """Return whole tokens as base units of ``token``; UsageError for what cannot be a price."""
    from c2d_box.chain.amounts import base_units

    units = base_units(amount, chain.decimals(token or chain.addresses.ocean))
    if units is None:
        raise UsageError(
            "C2D-PUBLISH-PRICE",
            f"{amount} is no price, or more than anybody could pay",
            "give tokens per order; 0 is free",
        )
    # Rounded to 0 it would give the asset away for nothing.
    if not units and Decimal(str(amount)):
        raise UsageError(
            "C2D-PUBLISH-PRICE", f"{amount} is less than the token's smallest unit", "ask for more"
        )
    return units
