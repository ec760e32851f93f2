"""Resolves what a request names (DID, service) to DDO, service and readable files, with the texts of a
refusal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from c2d_box.assets import files
from c2d_box.assets.documents import consumer_parameters
from c2d_box.assets.documents.ddo import DDO, DdoService
from c2d_box.assets.files import FileObject, FileObjectError
from c2d_box.provider.backends.catalog import AssetCatalog
from c2d_box.provider.backends.chain_gateway import ChainGateway
from c2d_box.provider.errors import ProviderRefusal
from c2d_box.provider.limits.client_rates import visitor
from c2d_box.provider.secrets import ProviderKey
from c2d_box.provider.settings import UserDataSection


@dataclass(frozen=True)
class ServiceOffering:
    """One service of one asset; ``index`` is the service's number in orders."""

    ddo: DDO
    service: DdoService
    index: int


def network_text(ledger: ChainGateway, text: str) -> str:
    """Return the text with the network's name in front, as the original's error texts have it."""
    return f"Provider {ledger.network_name}: {text}"


async def resolve_did(catalog: AssetCatalog, did: object) -> DDO:
    """Return the DDO of a DID. Raise ProviderRefusal when there is no such asset, CatalogUnavailable when the
    metadata cache cannot say."""
    # Without a check of its age: downloads and quotes hold the asset's state against the chain itself. A
    # compute start and a grant's redemption use ``freshness``.
    ddo = await catalog.find_ddo(did)
    if ddo is None:
        raise ProviderRefusal("Cannot resolve DID")
    return ddo


def find_offering(ddo: DDO, service_id: str) -> ServiceOffering | None:
    """Return the service of that id, None where the asset has no such service."""
    service, index = ddo.find_service(service_id), ddo.index_of(service_id)
    return ServiceOffering(ddo, service, index) if service is not None and index is not None else None


def reading_audience(offered: ServiceOffering | None, userdata: Mapping[str, object] | None) -> str:
    """Return a name for the callers who may share one reading of the files.

    All who ask for the same service share it. A caller who adds user data, or names a source himself, shares
    it with his own network address alone: the speed of an answer must not confirm a guess of what another
    asked for.
    """
    service = f"{offered.ddo.id} {offered.service.id}" if offered else ""
    return f"{service} {visitor.get()}" if userdata or not offered else service


def demanded_offering(ledger: ChainGateway, ddo: DDO, service_id: str) -> ServiceOffering:
    """Return the service like :func:`find_offering`. Raise ProviderRefusal where the asset has no such
    service."""
    offered = find_offering(ddo, service_id)
    if offered is None:
        raise ProviderRefusal(network_text(ledger, "Invalid serviceId."))
    return offered


def user_data_problems(
    rule: UserDataSection, described: object, userdata: Mapping[str, object] | None
) -> list[str]:
    """Return what in the user data does not fit the consumer parameters ``described``: nothing where this
    Provider's settings do not check user data."""
    # The original never looks at user data.
    if rule.accept == "any":
        return []
    return consumer_parameters.parameter_problems(described, userdata)


def readable_files(key: ProviderKey, offered: ServiceOffering) -> list[FileObject] | None:
    """Return the service's files, None when they are not encrypted for this Provider (or not for this
    asset)."""
    try:
        return files_of(key, offered)
    except FileObjectError:
        return None


def files_of(key: ProviderKey, offered: ServiceOffering) -> list[FileObject]:
    """Return the service's files. Raise FileObjectError with a text that clients may see."""
    # Since version 4.1.0 NFT and datatoken are part of what was encrypted: a publisher who copies the cipher
    # text of another's asset into an own one gets nothing from it.
    return files.unseal_files(
        key.private_key,
        offered.service.files,
        nft=offered.ddo.nft_address,
        datatoken=offered.service.datatoken_address,
        version=offered.ddo.version,
    )
