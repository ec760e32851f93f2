"""Orders: what a service costs, paying for it, and proving on the chain that somebody did."""

from c2d_box.chain.orders.fees import ProviderFee, fee_amount, fee_hash, sign_fee, signer_of
from c2d_box.chain.orders.pricing import Offer, offer_for
from c2d_box.chain.orders.purchases import ConsumeMarketFee, Purchase, buy, buy_and_start, reuse, start, take
from c2d_box.chain.orders.quotes import quote
from c2d_box.chain.orders.verification import (
    Order,
    OrderClaim,
    OrderInvalid,
    OrderNotMined,
    verify,
)

__all__ = [
    "ConsumeMarketFee",
    "Offer",
    "Order",
    "OrderClaim",
    "OrderInvalid",
    "OrderNotMined",
    "ProviderFee",
    "Purchase",
    "buy",
    "buy_and_start",
    "fee_amount",
    "fee_hash",
    "offer_for",
    "quote",
    "reuse",
    "sign_fee",
    "signer_of",
    "start",
    "take",
    "verify",
]
