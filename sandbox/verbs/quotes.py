"""``quote``: what a job would cost, or the refusal it would meet, before anything is paid; and where it
could run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.box import Box
from sandbox.verbs.images import demand_image
from sandbox.verbs.parties import connection_to, consuming


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
            demand_image(box, str(container.image), str(container.checksum))
        quoted = party.quote(dataset, algorithm, additional, environment=environment)
        ocean = party.connection.chain.addresses.ocean
    return [
        Price(
            cost.did,
            cost.action,
            cost.price / 10**18,
            _symbol(cost.token, ocean),
            cost.fee / 10**18,
            _symbol(cost.fee_token, ocean),
        )
        for cost in quoted.costs
    ]


def environments(box: Box) -> list[Mapping[str, Any]]:
    """Compute environments as the Provider offers them."""
    with connection_to(box) as connection:
        return list(connection.provider.environments())


def _symbol(token: str, ocean: str) -> str:
    return "OCEAN" if token.lower() == ocean.lower() else token
