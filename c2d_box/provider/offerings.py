"""From what a request names (DID, service) to what is there: DDO, service, readable files; with the texts
of a refusal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from c2d_box.assets import credentials, files, parameters
from c2d_box.assets.addresses import same
from c2d_box.assets.ddo import DDO, Service
from c2d_box.assets.files import FileObject, FileObjectError
from c2d_box.chain.orders import Order, OrderInvalid
from c2d_box.provider.errors import Refusal
from c2d_box.provider.ledger import Head
from c2d_box.provider.services import Services
from c2d_box.provider.visitors import visitor


@dataclass(frozen=True)
class Offering:
    """One service of one asset; ``index`` is its place in orders."""

    ddo: DDO
    service: Service
    index: int


def network_text(services: Services, text: str) -> str:
    return f"Provider {services.ledger.network}: {text}"


async def resolved(services: Services, did: Any) -> DDO:
    """Raises Refusal when there is no such asset, CatalogUnavailable when nobody can say."""
    ddo = await services.catalog.ddo(did)
    if ddo is None:
        raise Refusal("Cannot resolve DID")
    return ddo


def offering(ddo: DDO, service_id: Any) -> Offering | None:
    service, index = ddo.service(str(service_id)), ddo.index_of(str(service_id))
    return Offering(ddo, service, index) if service is not None and index is not None else None


def audience(offered: Offering | None, userdata: Mapping[str, Any] | None) -> str:
    """Those who may share one reading of the files: all who ask for the same service. Who adds user data, or
    names a source himself, shares it with his own network address alone: how fast an answer comes must not
    confirm a guess of what another asked for.
    """
    service = f"{offered.ddo.id} {offered.service.id}" if offered else ""
    return f"{service} {visitor.get()}" if userdata or not offered else service


def demanded_offering(services: Services, ddo: DDO, service_id: Any) -> Offering:
    """Like :func:`offering`; raises Refusal where the asset has no such service."""
    offered = offering(ddo, service_id)
    if offered is None:
        raise Refusal(network_text(services, "Invalid serviceId."))
    return offered


async def consumable(
    services: Services, ddo: DDO, consumer: str, *, quoted: bool = False, at: Head | None = None
) -> str | None:
    """None, or the text that refuses ``consumer`` this asset (credentials, NFT state). ``at``: as
    :meth:`Ledger.state` takes it.

    ``quoted``: nothing but a price is asked for. ocean.py asks for it in the name of an environment, which
    then passes every list; who takes or computes afterwards is judged by an own name. Where the compute
    service cannot say who the environments are, that is an outage and no refusal.
    """
    state = await services.ledger.state(ddo.nft_address, at)
    text = credentials.refusal(ddo, consumer, state, set())
    passes = quoted or services.settings.compat.environment_downloads
    if text is None or not passes or services.environments is None:
        return text
    return credentials.refusal(ddo, consumer, state, await services.environments.consumers())


async def require_own_order(services: Services, order: Order, consumer: str) -> None:
    """Raises OrderInvalid where the order is ``consumer``'s only as the environment it was ordered for.

    Each order of a computation names its environment as consumer, so that environment's key would open all
    of them. What was paid belongs to who paid.
    """
    if services.settings.compat.environment_downloads or services.environments is None:
        return
    if not same(order.payer, consumer) and await services.environments.has_consumer(consumer):
        raise OrderInvalid("The consumer of the order is not the sender of the request.")


def unfit(services: Services, described: Any, userdata: Mapping[str, Any] | None) -> list[str]:
    """What in the user data does not fit the consumer parameters ``described``, where this Provider looks."""
    if services.settings.user_data.accept == "any":
        return []
    return parameters.problems(described, userdata)


def readable_files(services: Services, offered: Offering) -> list[FileObject] | None:
    """The service's files, None when they are not encrypted for this Provider (or not for this asset)."""
    try:
        return files_of(services, offered)
    except FileObjectError:
        return None


def files_of(services: Services, offered: Offering) -> list[FileObject]:
    """Raises FileObjectError with the text for the wire."""
    return files.unseal(
        services.key.private_key,
        offered.service.files,
        nft=offered.ddo.nft_address,
        datatoken=offered.service.datatoken_address,
        version=offered.ddo.version,
    )
