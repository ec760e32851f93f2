"""Resolves what a request names (DID, service) to DDO, service and readable files, and checks whether the
caller may use them; with the texts of a refusal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from c2d_box.assets import credentials, files
from c2d_box.assets.addresses import same_hex
from c2d_box.assets.documents import consumer_parameters
from c2d_box.assets.documents.ddo import DDO, DdoService
from c2d_box.assets.files import FileObject, FileObjectError
from c2d_box.chain.orders import Order, OrderInvalid
from c2d_box.provider.backends.chain_gateway import ChainHead
from c2d_box.provider.errors import ProviderRefusal
from c2d_box.provider.limits.client_rates import visitor
from c2d_box.provider.services import ProviderContext


@dataclass(frozen=True)
class ServiceOffering:
    """One service of one asset; ``index`` is the service's number in orders."""

    ddo: DDO
    service: DdoService
    index: int


def network_text(services: ProviderContext, text: str) -> str:
    """Return the text with the network's name in front, as the original's error texts have it."""
    return f"Provider {services.ledger.network_name}: {text}"


async def resolve_did(services: ProviderContext, did: Any) -> DDO:
    """Return the DDO of a DID. Raise ProviderRefusal when there is no such asset, CatalogUnavailable when the
    metadata cache cannot say."""
    # Without a check of its age: downloads and quotes hold the asset's state against the chain itself. A
    # compute start and a grant's redemption use ``freshness``.
    ddo = await services.catalog.find_ddo(did)
    if ddo is None:
        raise ProviderRefusal("Cannot resolve DID")
    return ddo


def find_offering(ddo: DDO, service_id: Any) -> ServiceOffering | None:
    """Return the service of that id, None where the asset has no such service. Ids are compared as text,
    because a JSON body may hold a number."""
    service, index = ddo.find_service(str(service_id)), ddo.index_of(str(service_id))
    return ServiceOffering(ddo, service, index) if service is not None and index is not None else None


def reading_audience(offered: ServiceOffering | None, userdata: Mapping[str, Any] | None) -> str:
    """Return a name for the callers who may share one reading of the files.

    All who ask for the same service share it. A caller who adds user data, or names a source himself, shares
    it with his own network address alone: the speed of an answer must not confirm a guess of what another
    asked for.
    """
    service = f"{offered.ddo.id} {offered.service.id}" if offered else ""
    return f"{service} {visitor.get()}" if userdata or not offered else service


def demanded_offering(services: ProviderContext, ddo: DDO, service_id: Any) -> ServiceOffering:
    """Return the service like :func:`find_offering`. Raise ProviderRefusal where the asset has no such
    service."""
    offered = find_offering(ddo, service_id)
    if offered is None:
        raise ProviderRefusal(network_text(services, "Invalid serviceId."))
    return offered


async def consumer_refusal(
    services: ProviderContext, ddo: DDO, consumer: str, *, quoted: bool = False, at: ChainHead | None = None
) -> str | None:
    """Return the text that refuses ``consumer`` this asset (credentials, NFT state), or None where nothing
    does. ``at`` is a head as ``ChainGateway.nft_state`` takes it.

    ``quoted``: only a price is asked for. ocean.py asks for it in the name of an environment, whose address
    then passes every list; a caller who downloads or computes afterwards is judged by his own address. Where
    the compute service cannot list the environments, that is an outage and no refusal.
    """
    state = await services.ledger.nft_state(ddo.nft_address, at)
    # Judged without the environments first: operator-service is asked only about a consumer who would be
    # refused.
    text = credentials.access_refusal(ddo, consumer, state, set())
    passes = quoted or services.settings.compat.environment_downloads
    if text is None or not passes or services.environments is None:
        return text
    return credentials.access_refusal(ddo, consumer, state, await services.environments.consumer_addresses())


async def require_own_order(services: ProviderContext, order: Order, consumer: str) -> None:
    """Raise OrderInvalid where ``consumer`` did not pay for the order and is only the environment that it
    names.

    Each order of a computation names its environment as consumer, so that environment's key would open all
    of them. An order belongs to the one who paid it.
    """
    # As in the original, whose pods fetch inputs in the environment's name. Our pods use grants instead.
    if services.settings.compat.environment_downloads or services.environments is None:
        return
    # The payer is compared first: it costs nothing, and it decides almost always.
    if not same_hex(order.payer, consumer) and await services.environments.has_consumer(consumer):
        raise OrderInvalid("The consumer of the order is not the sender of the request.")


def user_data_problems(
    services: ProviderContext, described: Any, userdata: Mapping[str, Any] | None
) -> list[str]:
    """Return what in the user data does not fit the consumer parameters ``described``: nothing where this
    Provider's settings do not check user data."""
    # The original never looks at user data.
    if services.settings.user_data.accept == "any":
        return []
    return consumer_parameters.parameter_problems(described, userdata)


def readable_files(services: ProviderContext, offered: ServiceOffering) -> list[FileObject] | None:
    """Return the service's files, None when they are not encrypted for this Provider (or not for this
    asset)."""
    try:
        return files_of(services, offered)
    except FileObjectError:
        return None


def files_of(services: ProviderContext, offered: ServiceOffering) -> list[FileObject]:
    """Return the service's files. Raise FileObjectError with a text that clients may see."""
    # Since version 4.1.0 NFT and datatoken are part of what was encrypted: a publisher who copies the cipher
    # text of another's asset into an own one gets nothing from it.
    return files.unseal_files(
        services.key.private_key,
        offered.service.files,
        nft=offered.ddo.nft_address,
        datatoken=offered.service.datatoken_address,
        version=offered.ddo.version,
    )
