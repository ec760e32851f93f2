"""``quote``: what a job would cost, or the refusal it would meet, before anything is paid; and where it
could run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sandbox.box import Box
from sandbox.verbs.images import demand_image
from sandbox.verbs.parties import connection_to, consuming

if TYPE_CHECKING:
    from c2d_box.client import Consumer, Quote


@dataclass(frozen=True, slots=True)
class Price:
    """What one asset of a job costs now, in whole tokens. ``action``: a new order, one extended by a new
    fee, or ``none`` where an earlier order still covers it.
    """

    did: str
    action: str
    price: float
    token: str
    fee: float
    fee_token: str


def quote(
    box: Box,
    who: str,
    dataset: str,
    algorithm: str,
    additional: tuple[str, ...] = (),
    environment: str | None = None,
) -> list[Price]:
    """Prices of the job's assets, datasets first. Raises the refusal that ``start`` would meet."""
    with consuming(box, who) as party:
        container = party.connection.cache.ddo(algorithm).container
        if container is not None:
            demand_image(box, str(container.image), str(container.checksum), container.entrypoint)
        quoted = party.quote(dataset, algorithm, additional, environment=environment)
        return _prices(party, quoted)


def quote_download(box: Box, who: str, did: str) -> list[Price]:
    """What downloading an access asset costs now."""
    with consuming(box, who) as party:
        return _prices(party, party.quote_download(did))


def environments(box: Box) -> list[Mapping[str, Any]]:
    """Compute environments as the Provider offers them."""
    with connection_to(box) as connection:
        return list(connection.provider.environments())


def _prices(party: Consumer, quoted: Quote) -> list[Price]:
    """Whole tokens: each by its own decimals."""
    chain = party.connection.chain

    def whole(amount: int, token: str) -> float:
        return amount / 10 ** chain.decimals(token) if amount else 0.0

    return [
        Price(
            cost.did,
            cost.action,
            whole(cost.price, cost.token),
            _symbol(cost.token, chain.addresses.ocean),
            whole(cost.fee, cost.fee_token),
            _symbol(cost.fee_token, chain.addresses.ocean),
        )
        for cost in quoted.costs
    ]


def _symbol(token: str, ocean: str) -> str:
    return "OCEAN" if token.lower() == ocean.lower() else token
