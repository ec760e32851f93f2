"""Checks each dataset of a job: that it exists, that the consumer may use it, that its service is of a usable
type and readable here, and that its publisher permits the algorithm.

The checks and their codes stand in wire order; the first refusal wins. Reasons go beside the error, never
inside it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from c2d_box.assets import disclosure
from c2d_box.assets.disclosure import DisclosureRules
from c2d_box.assets.files import FileObject
from c2d_box.assets.permissions import PermissionRequest, decide_permission
from c2d_box.chain.orders import Order, OrderClaim, OrderInvalid
from c2d_box.provider.backends.chain_gateway import ChainHead
from c2d_box.provider.backends.environments import EnvironmentCache
from c2d_box.provider.compute.algorithms import AcceptedAlgorithm
from c2d_box.provider.compute.context import ComputeContext
from c2d_box.provider.errors import compute_refusal
from c2d_box.provider.requests.compute_requests import InputReference
from c2d_box.provider.resolved_services import (
    ServiceOffering,
    find_offering,
    readable_files,
    user_data_problems,
)


@dataclass(frozen=True)
class AcceptedDataset:
    """One accepted input, in the order in which the request named it."""

    index: int
    reference: InputReference
    offered: ServiceOffering
    files: list[FileObject] = field(repr=False)
    rules: DisclosureRules | None = None
    """The publisher's rules for what may leave the job as a result."""
    reasons: tuple[str, ...] = ()
    """The reasons of the verdict that permitted the algorithm, as lines."""


@dataclass(frozen=True)
class NetworkConsent:
    """Two of the three consents that network access needs: the job asks for it (``wanted``), and the operator
    of the environment allows it (``granted``)."""

    wanted: bool = False
    granted: bool = False


NO_NETWORK = NetworkConsent()


async def network_consent(
    environments: EnvironmentCache, asked: bool | None, environment: str
) -> NetworkConsent:
    """Return the consents to network access. ``asked`` is None where the request says neither true nor false:
    then Refusal is raised."""
    if asked is None:
        raise compute_refusal("networkAccess", "invalid")
    # A job that does not want the network needs no answer about its environment here.
    if not asked:
        return NO_NETWORK
    found = await environments.find_environment(environment)
    return NetworkConsent(wanted=True, granted=found is not None and found.allows_network)


def resource_name(index: int) -> str:
    """Return the dataset's name in the texts of refusals: the request has the first one at ``dataset`` and
    the others in a list."""
    return "dataset" if index == 0 else f"datasets[{index}]"


async def accept_dataset(
    context: ComputeContext,
    index: int,
    reference: InputReference,
    algorithm: AcceptedAlgorithm,
    consumer: str,
    *,
    ordered: bool,
    network: NetworkConsent = NO_NETWORK,
) -> AcceptedDataset:
    """Return the dataset, checked, or raise Refusal. ``ordered``: the reference must name its order, which
    :func:`paid_order` checks afterwards."""
    name = resource_name(index)
    offered, head = await _find_offering(context, name, reference, ordered)
    if text := await context.consumers.consumer_refusal(offered.ddo, consumer, quoted=not ordered, at=head):
        raise compute_refusal(name, text)
    files = readable_files(context.key, offered)
    verdict = decide_permission(
        PermissionRequest(
            dataset=offered.ddo.id,
            service=offered.service,
            algorithm=algorithm.facts,
            empty_lists=context.settings.trust.empty_lists,
            main=index == 0,
            files_readable=files is not None,
            network_wanted=network.wanted,
            network_operator=network.granted,
        )
    )
    if not verdict.allowed:
        # Clients show the error at the part of the request that it names.
        key = "algorithm" if verdict.about == "algorithm" else f"{name}{verdict.suffix}"
        raise compute_refusal(key, verdict.code, verdict.reasons.as_dict())
    if files is None:
        # An access service of another Provider: inputs reach a job through this one only.
        raise compute_refusal(f"{name}.serviceId", "compute_services_not_in_same_provider")
    if misfits := user_data_problems(
        context.settings.user_data, offered.service.consumer_parameters, reference.userdata
    ):
        raise compute_refusal(f"{name}.userdata", "invalid", misfits)
    rules = _disclosure_rules(name, offered)
    return AcceptedDataset(index, reference, offered, files, rules, tuple(verdict.reasons.text_lines()))


def _disclosure_rules(name: str, offered: ServiceOffering) -> DisclosureRules | None:
    """Return the publisher's rules, None where there are none. Rules that cannot be read refuse the job:
    without them results might leave that the publisher wanted to keep in."""
    try:
        return disclosure.parse_set(offered.service.trust_settings.get("disclosure"))
    except disclosure.InvalidRules as problem:
        raise compute_refusal(name, "disclosure_rules_invalid", {"problem": str(problem)}) from None


async def paid_order(
    context: ComputeContext, dataset: AcceptedDataset, consumer: str, environment: str
) -> Order:
    """Return the dataset's order. Raise Refusal where it is not valid for this consumer, service and
    environment now. The order has to be the consumer's own: whoever knows a transaction's hash must not
    compute on it."""
    provider, tx = context.key.address, dataset.reference.order_tx
    try:
        return await context.consumers.own_order(
            order_claim(provider, dataset.offered, tx, consumer, environment=environment)
        )
    except OrderInvalid as problem:
        name = f"{resource_name(dataset.index)}.serviceId"
        raise compute_refusal(name, "order_invalid", str(problem)) from None


def order_claim(
    provider: str,
    offered: ServiceOffering,
    tx: str,
    consumer: str,
    *,
    environment: str | None = None,
    allow_expired: bool = False,
) -> OrderClaim:
    """Return the claim that ``tx`` ordered the service from ``provider``, an address, for the consumer."""
    return OrderClaim(
        tx=tx,
        sender=consumer,
        nft=offered.ddo.nft_address,
        datatoken=offered.service.datatoken_address,
        service_id=offered.service.id,
        service_index=offered.index,
        timeout=offered.service.timeout,
        providers=(provider,),
        environment=environment,
        allow_expired=allow_expired,
    )


async def _find_offering(
    context: ComputeContext, name: str, reference: InputReference, ordered: bool
) -> tuple[ServiceOffering, ChainHead | None]:
    """Return the service that the reference names, and the chain's head that it was read at. Missing parts
    are refused before the metadata cache is asked."""
    if not reference.did:
        raise compute_refusal(f"{name}.documentId", "missing")
    if ordered and not reference.order_tx:
        raise compute_refusal(f"{name}.transferTxId", "missing")
    if not reference.service_id:
        raise compute_refusal(f"{name}.serviceId", "missing")
    current = await context.current_asset(reference.did)
    if current.ddo is None:
        raise compute_refusal(f"{name}.documentId", "did_not_found")
    offered = find_offering(current.ddo, reference.service_id)
    if offered is None:
        raise compute_refusal(f"{name}.serviceId", "not_found")
    return offered, current.head
