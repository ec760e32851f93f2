"""``quote``: shows what a job would cost, or the refusal it would meet, before anything is paid; and where it
could run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, localcontext
from typing import TYPE_CHECKING, Any

from sandbox.box import Box
from sandbox.install.images import demand_image
from sandbox.verbs.sdk_connections import connection_to, open_consumer

if TYPE_CHECKING:
    from c2d_box.client import Consumer, JobRequest, OrderQuote


@dataclass(frozen=True, slots=True)
class AssetPrice:
    """The cost of one asset of a job now, in whole tokens. ``action``: a new order, one extended by a new
    fee, or ``none`` where an earlier order still covers it. ``swap_fee`` is the part of ``price`` that is not
    the seller's; ``fee`` is the Provider's, ``market_fee`` that of the market where the asset was published.
    """

    did: str
    action: str
    price: float
    token: str
    fee: float
    fee_token: str
    swap_fee: float = 0.0
    market_fee: float = 0.0
    market_token: str = "OCEAN"
    due: Mapping[str, str] = field(default_factory=dict)
    """The whole amount due, per token with every digit, as a limit (``--max-price``) takes it."""


def price_totals(prices: Iterable[AssetPrice]) -> dict[str, float]:
    """Return the whole tokens due in all, per token, as floats: for people to read and never for a limit."""
    due: dict[str, float] = {}
    for price in prices:
        # Price, Provider's fee and market's fee may be in three tokens, or all in one.
        for token, amount in (
            (price.token, price.price),
            (price.fee_token, price.fee),
            (price.market_token, price.market_fee),
        ):
            due[token] = due.get(token, 0.0) + amount
    return {token: amount for token, amount in due.items() if amount}


def exact_totals(prices: Iterable[AssetPrice]) -> dict[str, str]:
    """Return the whole tokens due in all, per token, with every digit: a limit made of a rounded-down amount
    would not suffice.
    """
    due: dict[str, Decimal] = {}
    with localcontext() as context:
        # The default of 28 digits would round sums of tokens with 18 decimals.
        context.prec = 100
        for price in prices:
            for token, amount in price.due.items():
                due[token] = due.get(token, Decimal()) + Decimal(amount)
    return {token: f"{amount:f}" for token, amount in due.items() if amount}


def quote(box: Box, who: str, wanted: JobRequest) -> list[AssetPrice]:
    """Return the prices of the job's assets, datasets first. Raises the refusal that ``start`` would meet."""
    with open_consumer(box, who) as party:
        demand_algorithm_image(box, party, wanted)
        return _asset_prices(party, party.quote_job(wanted))


def demand_algorithm_image(box: Box, party: Consumer, wanted: JobRequest) -> None:
    """Refuse a published algorithm whose image is not on the node, before anything is paid. A raw
    algorithm is not checked here.
    """
    if not isinstance(wanted.algorithm, str):
        return
    container = party.connection.cache.read_ddo(wanted.algorithm).container
    if container is not None:
        demand_image(box, str(container.image), str(container.checksum), container.entrypoint)


def quote_download(box: Box, who: str, did: str) -> list[AssetPrice]:
    """Return what downloading an access asset costs now."""
    with open_consumer(box, who) as party:
        return _asset_prices(party, party.quote_download(did))


def list_environments(box: Box) -> list[Mapping[str, Any]]:
    """Return the compute environments that the Provider offers."""
    with connection_to(box) as connection:
        return list(connection.provider.list_environments())


def _asset_prices(party: Consumer, quoted: OrderQuote) -> list[AssetPrice]:
    """Return the prices in whole tokens, each by its own decimals. A free asset is listed with OCEAN as its
    token.
    """
    from c2d_box.chain.amounts import token_name
    from c2d_box.chain.amounts import whole_tokens as exactly

    chain = party.connection.chain

    # Decimals are asked of the token's contract, so only where something is due.
    def whole(amount: int, token: str) -> float:
        return amount / 10 ** chain.decimals(token) if amount else 0.0

    def name(amount: int, token: str) -> str:
        return token_name(chain, token if amount else chain.addresses.ocean)

    return [
        AssetPrice(
            cost.did,
            cost.action,
            whole(cost.price, cost.token),
            name(cost.price, cost.token),
            whole(cost.fee, cost.fee_token),
            name(cost.fee, cost.fee_token),
            whole(cost.swap_fee, cost.token),
            whole(cost.market_fee, cost.market_token),
            name(cost.market_fee, cost.market_token),
            {
                token_name(chain, token): exactly(units, chain.decimals(token))
                for token, units in cost.due.items()
            },
        )
        for cost in quoted.costs
    ]
