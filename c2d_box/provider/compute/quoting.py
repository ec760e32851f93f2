"""The rules of initializeCompute, which quotes what is still to be paid before a job can start, item by item.

Permissions are decided here already, before anybody pays.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from c2d_box.assets.addresses import same_hex
from c2d_box.chain.orders import Order, OrderInvalid
from c2d_box.provider.compute.algorithms import accept_algorithm
from c2d_box.provider.compute.datasets import (
    accept_dataset,
    network_consent,
    order_claim,
    require_few_datasets,
)
from c2d_box.provider.errors import ProviderRefusal
from c2d_box.provider.resolved_services import ServiceOffering
from c2d_box.provider.services import ProviderContext


@dataclass(frozen=True)
class _JobTerms:
    """The terms that the request asks for: an environment until some time, for ``price`` base units of
    ``token``.

    The price counts from ``now``, when the request came, and not from when its assets have been looked up, so
    that the time for that does not make two quotes differ.
    """

    environment: Mapping[str, Any]
    now: float
    valid_until: int
    token: str
    price: int


@dataclass(frozen=True)
class _QuotedItem:
    """Something to be ordered, with the order that the client already has for it."""

    offered: ServiceOffering
    order: Order | None

    def covers_time(self, terms: _JobTerms) -> bool:
        return self.order is not None and terms.valid_until <= self.order.fee_valid_until

    def pays_fee(self, terms: _JobTerms) -> bool:
        """Return whether the fee of this item's order alone is enough for the whole job."""
        if self.order is None or not self.covers_time(terms):
            return False
        return not terms.price or (
            self.order.fee_amount >= terms.price and same_hex(self.order.fee_token, terms.token)
        )


async def quote_job(services: ProviderContext, data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body of the answer to initializeCompute. Raise Refusal."""
    now, compute, consumer = time.time(), data["compute"], str(data["consumerAddress"])
    valid_until = int(compute["validUntil"])
    if valid_until <= now:
        raise ProviderRefusal("The validUntil value is not correct.")
    datasets = data["datasets"] if isinstance(data["datasets"], list) else []
    require_few_datasets(datasets)
    assert services.environments is not None
    environment = await services.environments.find_environment(compute["env"])
    if environment is None:
        raise ProviderRefusal("Compute environment does not exist")
    algorithm = await accept_algorithm(
        services, data["algorithm"], not_algorithm=ProviderRefusal("DID is not a valid algorithm"), anew=False
    )
    network = await network_consent(services, compute.get("networkAccess"), compute["env"])
    items: list[_QuotedItem] = []
    if not datasets:
        raise ProviderRefusal({"dataset.documentId": "missing"})
    for index, item in enumerate(datasets):
        dataset = await accept_dataset(
            services, index, item, algorithm, consumer, ordered=False, network=network
        )
        order = await _usable_order(services, dataset.offered, item, consumer, environment["id"])
        items.append(_QuotedItem(dataset.offered, order))
    if algorithm.offered is not None:
        order = await _usable_order(services, algorithm.offered, algorithm.item, consumer, environment["id"])
        items.append(_QuotedItem(algorithm.offered, order))
    terms = await _job_terms(services, environment, now, valid_until)
    bearer = next((at for at, item in enumerate(items) if item.pays_fee(terms)), 0)
    answers = [
        await _quote_item(services, item, terms, bears_fee=at == bearer) for at, item in enumerate(items)
    ]
    body: dict[str, Any] = {"datasets": answers[: len(datasets)]}
    if algorithm.offered is not None:
        body["algorithm"] = answers[-1]
    return body


async def _usable_order(
    services: ProviderContext,
    offered: ServiceOffering,
    item: Mapping[str, Any],
    consumer: str,
    environment: str,
) -> Order | None:
    """Return the given order if it is good for this service and environment, else None. Its fee may have
    expired: then only a new fee is quoted."""
    tx = item.get("transferTxId")
    if not tx:
        return None
    try:
        return await services.ledger.verified_order(
            order_claim(services, offered, str(tx), consumer, environment=environment, allow_expired=True)
        )
    except OrderInvalid:
        return None


async def _job_terms(
    services: ProviderContext, environment: Mapping[str, Any], now: float, valid_until: int
) -> _JobTerms:
    token = await services.ledger.fee_token(services.settings.fee_token)
    per_minute = float(environment.get("priceMin") or 0)
    price = await services.ledger.fee_amount(valid_until - now, per_minute, token)
    return _JobTerms(environment, now, valid_until, token, price)


async def _quote_item(
    services: ProviderContext, item: _QuotedItem, terms: _JobTerms, *, bears_fee: bool
) -> dict[str, Any]:
    """Return one item of the answer, in one of three shapes: nothing due (the order as submitted), a fee due
    (the original order with the fee), or no order yet (the fee alone)."""
    if item.order is not None and (item.pays_fee(terms) if bears_fee else item.covers_time(terms)):
        return {"validOrder": item.order.tx}
    service = item.offered.service
    fee = await services.ledger.quote_fee(
        services.key.private_key,
        datatoken=service.datatoken_address,
        service_id=service.id,
        environment=terms.environment["id"],
        price_per_minute=float(terms.environment.get("priceMin") or 0) if bears_fee else 0,
        valid_until=terms.valid_until,
        token=terms.token,
        now=terms.now,
    )
    answer: dict[str, Any] = {"datatoken": service.datatoken_address, "providerFee": fee}
    return answer if item.order is None else {**answer, "validOrder": item.order.start_tx}
