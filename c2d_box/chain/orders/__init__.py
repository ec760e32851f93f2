"""Orders: a service's price, the payment, and the proof on the chain that somebody paid."""

from c2d_box.chain.orders.fees import ProviderFee, fee_amount, fee_hash, read_data, sign_fee, signer_of
from c2d_box.chain.orders.gas import demand_gas, most_gas
from c2d_box.chain.orders.pricing import Offer, offer_for
from c2d_box.chain.orders.purchases import (
    NO_MARKET,
    ConsumeMarketFee,
    Purchase,
    buy,
    buy_and_start,
    order_fees,
    publishing_fee,
    reuse,
    start,
    take,
)
from c2d_box.chain.orders.quotes import quote
from c2d_box.chain.orders.verification import (
    Order,
    OrderClaim,
    OrderInvalid,
    OrderNotMined,
    verify,
)

__all__ = [
    "NO_MARKET",
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
    "demand_gas",
    "fee_amount",
    "fee_hash",
    "most_gas",
    "offer_for",
    "order_fees",
    "publishing_fee",
    "quote",
    "read_data",
    "reuse",
    "sign_fee",
    "signer_of",
    "start",
    "take",
    "verify",
]
