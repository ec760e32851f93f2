"""Orders: a service's price, the payment, and the proof on the chain that somebody paid.

Clients price and buy, the Provider quotes and verifies. Both use one implementation of the fee, since its
signature is over exact bytes that the contract recomputes.
"""

from c2d_box.chain.orders.fees import ProviderFee, fee_amount, fee_hash, read_data, sign_fee, signer_of
from c2d_box.chain.orders.gas import demand_gas, most_gas
from c2d_box.chain.orders.pricing import DatatokenOffer, offer_for
from c2d_box.chain.orders.purchases import (
    NO_MARKET,
    ConsumeMarketFee,
    Purchase,
    accept_offer,
    buy_and_start,
    buy_datatoken,
    order_fees,
    publishing_fee,
    reuse_order,
    start_order,
)
from c2d_box.chain.orders.quotes import quote_fee
from c2d_box.chain.orders.verification import (
    Order,
    OrderClaim,
    OrderInvalid,
    OrderNotMined,
    verify_order,
)

__all__ = [
    "NO_MARKET",
    "ConsumeMarketFee",
    "DatatokenOffer",
    "Order",
    "OrderClaim",
    "OrderInvalid",
    "OrderNotMined",
    "ProviderFee",
    "Purchase",
    "accept_offer",
    "buy_and_start",
    "buy_datatoken",
    "demand_gas",
    "fee_amount",
    "fee_hash",
    "most_gas",
    "offer_for",
    "order_fees",
    "publishing_fee",
    "quote_fee",
    "read_data",
    "reuse_order",
    "sign_fee",
    "signer_of",
    "start_order",
    "verify_order",
]
