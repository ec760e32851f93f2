"""The rules of initializeCompute, which quotes what is still to be paid before a job can start, item by item.

Permissions are decided here already, before anybody pays. An item is one dataset or the algorithm. Orders
that the client names are used again where they are good, so a client may ask, order, and ask again until
nothing is due.
"""

from __future__ import annotations

from dataclasses import dataclass

from c2d_box.assets.addresses import same_hex
from c2d_box.chain.orders import Order, OrderInvalid
from c2d_box.provider.backends.environments import EnvironmentTerms
from c2d_box.provider.compute.algorithms import accept_algorithm
from c2d_box.provider.compute.context import ComputeContext
from c2d_box.provider.compute.datasets import accept_dataset, network_consent, order_claim
from c2d_box.provider.errors import ProviderRefusal, compute_refusal
from c2d_box.provider.requests.compute_requests import InputReference, QuoteRequest
from c2d_box.provider.resolved_services import ServiceOffering


@dataclass(frozen=True)
class _JobTerms:
    """The terms that the request asks for: an environment until some time, for ``price`` base units of
    ``token``.

    The price counts from ``now``, when the request came, and not from when its assets have been looked up, so
    that the time for that does not make two quotes differ.
    """

    environment: EnvironmentTerms
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
        """Return whether the fee of this item's order is valid until the job's end, whatever it amounts
        to."""
        return self.order is not None and terms.valid_until <= self.order.fee_valid_until

    def pays_fee(self, terms: _JobTerms) -> bool:
        """Return whether the fee of this item's order alone is enough for the whole job."""
        if self.order is None or not self.covers_time(terms):
            return False
        return not terms.price or (
            self.order.fee_amount >= terms.price and same_hex(self.order.fee_token, terms.token)
        )


async def quote_job(context: ComputeContext, request: QuoteRequest) -> dict[str, object]:
    """Return the body of the answer to initializeCompute. Raise Refusal."""
    environment = await context.environments.find_environment(request.environment)
    # First, because nothing has a price without an environment.
    if environment is None:
        raise ProviderRefusal("Compute environment does not exist")
    algorithm = await accept_algorithm(
        context,
        request.algorithm,
        not_algorithm=ProviderRefusal("DID is not a valid algorithm"),
        anew=False,
    )
    network = await network_consent(context.environments, request.network_access, request.environment)
    items: list[_QuotedItem] = []
    if not request.datasets:
        raise compute_refusal("dataset.documentId", "missing")
    for index, reference in enumerate(request.datasets):
        # The same checks as at a start, but without an order: a consumer is refused here, before paying.
        dataset = await accept_dataset(
            context, index, reference, algorithm, request.consumer, ordered=False, network=network
        )
        items.append(await _with_order(context, request, dataset.offered, reference))
    if algorithm.offered is not None:
        items.append(await _with_order(context, request, algorithm.offered, request.algorithm.asset))
    terms = await _job_terms(context, request, environment)
    # One item bears the fee for computing: the first whose order pays it already, else the first of all. The
    # others are quoted a fee of nothing, so that the time is not paid twice.
    bearer = next((at for at, item in enumerate(items) if item.pays_fee(terms)), 0)
    # In the request's order, the algorithm last, as the answer is split below.
    answers = [
        await _quote_item(context, item, terms, bears_fee=at == bearer) for at, item in enumerate(items)
    ]
    body: dict[str, object] = {"datasets": answers[: len(request.datasets)]}
    if algorithm.offered is not None:
        body["algorithm"] = answers[-1]
    return body


async def _with_order(
    context: ComputeContext, request: QuoteRequest, offered: ServiceOffering, reference: InputReference
) -> _QuotedItem:
    """Return the item with its order if that is good for this service and environment. The order's fee may
    have expired: then only a new fee is quoted."""
    if not reference.order_tx:
        return _QuotedItem(offered, None)
    claim = order_claim(
        context.key.address,
        offered,
        reference.order_tx,
        request.consumer,
        environment=request.environment,
        # Expiry is quoted as a fee to renew, not refused: the order itself is kept and only extended.
        allow_expired=True,
    )
    try:
        return _QuotedItem(offered, await context.ledger.verified_order(claim))
    except OrderInvalid:
        # An order that is not good is no error of a quote: a new one is quoted in its place.
        return _QuotedItem(offered, None)


async def _job_terms(
    context: ComputeContext, request: QuoteRequest, environment: EnvironmentTerms
) -> _JobTerms:
    """Return the terms with their price in base units of the fee's token. Where the settings name no token,
    it is Ocean's."""
    token = await context.ledger.fee_token(context.settings.fee_token)
    seconds = request.valid_until - request.now
    price = await context.ledger.fee_amount(seconds, environment.price_per_minute, token)
    return _JobTerms(environment, request.now, request.valid_until, token, price)


async def _quote_item(
    context: ComputeContext, item: _QuotedItem, terms: _JobTerms, *, bears_fee: bool
) -> dict[str, object]:
    """Return one item of the answer, in one of three shapes: nothing due (the order as submitted), a fee due
    (the original order with the fee), or no order yet (the fee alone)."""
    if item.order is not None and (item.pays_fee(terms) if bears_fee else item.covers_time(terms)):
        return {"validOrder": item.order.tx}
    service = item.offered.service
    fee = await context.ledger.quote_fee(
        context.key.private_key,
        datatoken=service.datatoken_address,
        service_id=service.id,
        environment=terms.environment.id,
        price_per_minute=terms.environment.price_per_minute if bears_fee else 0,
        valid_until=terms.valid_until,
        token=terms.token,
        now=terms.now,
    )
    answer: dict[str, object] = {"datatoken": service.datatoken_address, "providerFee": fee}
    # The first order's transaction, which ``reuseOrder`` extends; the client passes it on.
    return answer if item.order is None else {**answer, "validOrder": item.order.start_tx}
