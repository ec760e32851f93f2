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
from c2d_box.assets.disclosure import Rules
from c2d_box.assets.files import FileObject
from c2d_box.assets.permissions import PermissionRequest, decide
from c2d_box.chain.orders import Order, OrderClaim, OrderInvalid
from c2d_box.limits import JOB_DATASETS
from c2d_box.provider.compute.algorithms import Algorithm, refuse
from c2d_box.provider.freshness import current_asset
from c2d_box.provider.incoming import user_data
from c2d_box.provider.ledger import Head
from c2d_box.provider.offerings import (
    Offering,
    consumable,
    offering,
    readable_files,
    require_own_order,
    unfit,
)
from c2d_box.provider.services import Services


@dataclass(frozen=True)
class Dataset:
    """One accepted input, in the order in which the request named it."""

    index: int
    item: Mapping[str, Any]
    offered: Offering
    files: list[FileObject] = field(repr=False)
    rules: Rules | None = None
    """The publisher's rules for what may leave the job as a result."""
    reasons: tuple[str, ...] = ()
    """The reasons of the verdict that permitted the algorithm, as lines."""

    @property
    def tx(self) -> str:
        return str(self.item.get("transferTxId") or "")

    @property
    def userdata(self) -> dict[str, Any] | None:
        return user_data(self.item.get("userdata"))


@dataclass(frozen=True)
class Network:
    """Two of the three consents that network access needs: the job asks for it (``wanted``), and the operator
    of the environment allows it (``granted``)."""

    wanted: bool = False
    granted: bool = False


NO_NETWORK = Network()


async def network_of(services: Services, asked: Any, environment: Any) -> Network:
    """Return the consents to network access. ``asked`` is the request's ``networkAccess``. Raise Refusal
    where it is neither true nor false."""
    if asked is None or asked is False:
        return NO_NETWORK
    if asked is not True:
        raise refuse("networkAccess", "invalid")
    found = await services.environments.find(environment) if services.environments else None
    return Network(wanted=True, granted=found is not None and found.get("allowNetworkAccess") is True)


def require_few(items: Sequence[Any]) -> None:
    """Raise Refusal where a request names more datasets than one job may have, before work is done for it:
    nobody may have signed it."""
    if len(items) > JOB_DATASETS:
        reason = f"a job takes at most {JOB_DATASETS} datasets, {len(items)} were named"
        raise refuse("datasets", "too_many", {"problem": reason})


def resource(index: int) -> str:
    return "dataset" if index == 0 else f"datasets[{index}]"


async def accepted(
    services: Services,
    index: int,
    item: Any,
    algorithm: Algorithm,
    consumer: str,
    *,
    ordered: bool,
    network: Network = NO_NETWORK,
) -> Dataset:
    """Return the dataset, checked, or raise Refusal. ``ordered``: the item must name its order, which
    :func:`paid` checks afterwards."""
    name = resource(index)
    fields = item if isinstance(item, Mapping) else {}
    offered, head = await _found(services, name, fields, ordered)
    if text := await consumable(services, offered.ddo, consumer, quoted=not ordered, at=head):
        raise refuse(name, text)
    files = readable_files(services, offered)
    verdict = decide(
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
        raise refuse(key, verdict.code, verdict.reasons.as_dict())
    if files is None:
        # An access service of another Provider: inputs reach a job through this one only.
        raise refuse(f"{name}.serviceId", "compute_services_not_in_same_provider")
    if misfits := unfit(services, offered.service.consumer_parameters, user_data(fields.get("userdata"))):
        raise refuse(f"{name}.userdata", "invalid", misfits)
    return Dataset(index, fields, offered, files, _rules(name, offered), tuple(verdict.reasons.lines()))


def _rules(name: str, offered: Offering) -> Rules | None:
    try:
        return disclosure.parse(offered.service.trust.get("disclosure"))
    except disclosure.InvalidRules as problem:
        raise refuse(name, "disclosure_rules_invalid", {"problem": str(problem)}) from None


async def paid(services: Services, dataset: Dataset, consumer: str, environment: str) -> Order:
    """Return the dataset's order. Raise Refusal where it is not valid for this consumer, service and
    environment now."""
    try:
        order = await services.ledger.order(
            claim(services, dataset.offered, dataset.tx, consumer, environment=environment)
        )
        await require_own_order(services, order, consumer)
    except OrderInvalid as problem:
        raise refuse(f"{resource(dataset.index)}.serviceId", "order_invalid", str(problem)) from None
    return order


def claim(
    services: Services,
    offered: Offering,
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


async def _found(
    services: Services, name: str, item: Mapping[str, Any], ordered: bool
) -> tuple[Offering, Head | None]:
    if not item.get("documentId"):
        raise refuse(f"{name}.documentId", "missing")
    if ordered and not item.get("transferTxId"):
        raise refuse(f"{name}.transferTxId", "missing")
    if item.get("serviceId") in (None, ""):
        raise refuse(f"{name}.serviceId", "missing")
    current = await current_asset(services, item["documentId"])
    if current.ddo is None:
        raise refuse(f"{name}.documentId", "did_not_found")
    offered = offering(current.ddo, item["serviceId"])
    if offered is None:
        raise refuse(f"{name}.serviceId", "not_found")
    return offered, current.head
