"""Checks each dataset of a job: that it exists, that the consumer may use it, that its service is of a usable
type and readable here, and that its publisher permits the algorithm.

The checks and their codes stand in wire order; the first refusal wins. Reasons go beside the error, never
inside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from c2d_box.assets import disclosure
from c2d_box.assets.disclosure import DisclosureRules
from c2d_box.assets.files import FileObject
from c2d_box.assets.permissions import PermissionRequest, decide_permission
from c2d_box.chain.orders import Order, OrderClaim, OrderInvalid
from c2d_box.limits import JOB_DATASETS
from c2d_box.provider.backends.chain_gateway import ChainHead
from c2d_box.provider.compute.algorithms import AcceptedAlgorithm, compute_refusal
from c2d_box.provider.freshness import current_asset
from c2d_box.provider.requests.parameters import user_data
from c2d_box.provider.resolved_services import (
    ServiceOffering,
    consumer_refusal,
    find_offering,
    readable_files,
    require_own_order,
    user_data_problems,
)
from c2d_box.provider.services import ProviderContext


@dataclass(frozen=True)
class AcceptedDataset:
    """One accepted input, in the order in which the request named it."""

    index: int
    item: Mapping[str, Any]
    offered: ServiceOffering
    files: list[FileObject] = field(repr=False)
    rules: DisclosureRules | None = None
    """The publisher's rules for what may leave the job as a result."""
    reasons: tuple[str, ...] = ()
    """The reasons of the verdict that permitted the algorithm, as lines."""

    @property
    def order_tx(self) -> str:
        return str(self.item.get("transferTxId") or "")

    @property
    def userdata(self) -> dict[str, Any] | None:
        return user_data(self.item.get("userdata"))


@dataclass(frozen=True)
class NetworkConsent:
    """Two of the three consents that network access needs: the job asks for it (``wanted``), and the operator
    of the environment allows it (``granted``)."""

    wanted: bool = False
    granted: bool = False


NO_NETWORK = NetworkConsent()


async def network_consent(services: ProviderContext, asked: Any, environment: Any) -> NetworkConsent:
    """Return the consents to network access. ``asked`` is the request's ``networkAccess``. Raise Refusal
    where it is neither true nor false."""
    if asked is None or asked is False:
        return NO_NETWORK
    if asked is not True:
        raise compute_refusal("networkAccess", "invalid")
    found = await services.environments.find_environment(environment) if services.environments else None
    return NetworkConsent(wanted=True, granted=found is not None and found.get("allowNetworkAccess") is True)


def require_few_datasets(items: Sequence[Any]) -> None:
    """Raise Refusal where a request names more datasets than one job may have, before work is done for it:
    nobody may have signed it."""
    if len(items) > JOB_DATASETS:
        reason = f"a job takes at most {JOB_DATASETS} datasets, {len(items)} were named"
        raise compute_refusal("datasets", "too_many", {"problem": reason})


def resource_name(index: int) -> str:
    return "dataset" if index == 0 else f"datasets[{index}]"


async def accept_dataset(
    services: ProviderContext,
    index: int,
    item: Any,
    algorithm: AcceptedAlgorithm,
    consumer: str,
    *,
    ordered: bool,
    network: NetworkConsent = NO_NETWORK,
) -> AcceptedDataset:
    """Return the dataset, checked, or raise Refusal. ``ordered``: the item must name its order, which
    :func:`paid_order` checks afterwards."""
    name = resource_name(index)
    fields = item if isinstance(item, Mapping) else {}
    offered, head = await _find_offering(services, name, fields, ordered)
    if text := await consumer_refusal(services, offered.ddo, consumer, quoted=not ordered, at=head):
        raise compute_refusal(name, text)
    files = readable_files(services, offered)
    verdict = decide_permission(
        PermissionRequest(
            dataset=offered.ddo.id,
            service=offered.service,
            algorithm=algorithm.facts,
            empty_lists=services.settings.trust.empty_lists,
            main=index == 0,
            files_readable=files is not None,
            network_wanted=network.wanted,
            network_operator=network.granted,
        )
    )
    if not verdict.allowed:
        key = "algorithm" if verdict.about == "algorithm" else f"{name}{verdict.suffix}"
        raise compute_refusal(key, verdict.code, verdict.reasons.as_dict())
    if files is None:
        # An access service of another Provider: inputs reach a job through this one only.
        raise compute_refusal(f"{name}.serviceId", "compute_services_not_in_same_provider")
    if misfits := user_data_problems(
        services, offered.service.consumer_parameters, user_data(fields.get("userdata"))
    ):
        raise compute_refusal(f"{name}.userdata", "invalid", misfits)
    return AcceptedDataset(
        index, fields, offered, files, _disclosure_rules(name, offered), tuple(verdict.reasons.text_lines())
    )


def _disclosure_rules(name: str, offered: ServiceOffering) -> DisclosureRules | None:
    try:
        return disclosure.parse_set(offered.service.trust_settings.get("disclosure"))
    except disclosure.InvalidRules as problem:
        raise compute_refusal(name, "disclosure_rules_invalid", {"problem": str(problem)}) from None


async def paid_order(
    services: ProviderContext, dataset: AcceptedDataset, consumer: str, environment: str
) -> Order:
    """Return the dataset's order. Raise Refusal where it is not valid for this consumer, service and
    environment now."""
    try:
        order = await services.ledger.verified_order(
            order_claim(services, dataset.offered, dataset.order_tx, consumer, environment=environment)
        )
        await require_own_order(services, order, consumer)
    except OrderInvalid as problem:
        raise compute_refusal(
            f"{resource_name(dataset.index)}.serviceId", "order_invalid", str(problem)
        ) from None
    return order


def order_claim(
    services: ProviderContext,
    offered: ServiceOffering,
    tx: str,
    consumer: str,
    *,
    environment: str | None = None,
    allow_expired: bool = False,
) -> OrderClaim:
    return OrderClaim(
        tx=tx,
        sender=consumer,
        nft=offered.ddo.nft_address,
        datatoken=offered.service.datatoken_address,
        service_id=offered.service.id,
        service_index=offered.index,
        timeout=offered.service.timeout,
        providers=(services.key.address,),
        environment=environment,
        allow_expired=allow_expired,
    )


async def _find_offering(
    services: ProviderContext, name: str, item: Mapping[str, Any], ordered: bool
) -> tuple[ServiceOffering, ChainHead | None]:
    if not item.get("documentId"):
        raise compute_refusal(f"{name}.documentId", "missing")
    if ordered and not item.get("transferTxId"):
        raise compute_refusal(f"{name}.transferTxId", "missing")
    if item.get("serviceId") in (None, ""):
        raise compute_refusal(f"{name}.serviceId", "missing")
    current = await current_asset(services, item["documentId"])
    if current.ddo is None:
        raise compute_refusal(f"{name}.documentId", "did_not_found")
    offered = find_offering(current.ddo, item["serviceId"])
    if offered is None:
        raise compute_refusal(f"{name}.serviceId", "not_found")
    return offered, current.head
