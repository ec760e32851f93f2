"""From what a request names (DID, service) to what is there: DDO, service, readable files; with the texts
of a refusal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from c2d_box.assets import credentials, files, parameters
from c2d_box.assets.ddo import DDO, Service
from c2d_box.assets.files import FileObject, FileObjectError
from c2d_box.provider.catalog import CatalogUnavailable
from c2d_box.provider.errors import Refusal
from c2d_box.provider.services import Services


@dataclass(frozen=True)
class Offering:
    """One service of one asset; ``index`` is its place in orders."""

    ddo: DDO
    service: Service
    index: int


def network_text(services: Services, text: str) -> str:
    return f"Provider {services.ledger.network}: {text}"


async def resolved(services: Services, did: Any) -> DDO:
    """Raises Refusal when the DID cannot be resolved."""
    try:
        ddo = await services.catalog.ddo(did)
    except CatalogUnavailable:
        ddo = None
    if ddo is None:
        raise Refusal("Cannot resolve DID")
    return ddo


def offering(ddo: DDO, service_id: Any) -> Offering | None:
    service, index = ddo.service(str(service_id)), ddo.index_of(str(service_id))
    return Offering(ddo, service, index) if service is not None and index is not None else None


async def consumable(services: Services, ddo: DDO, consumer: str) -> str | None:
    """None, or the text that refuses ``consumer`` this asset (credentials, NFT state)."""
    state = await services.ledger.state(ddo.nft_address)
    environments = await services.environments.consumers() if services.environments else set()
    return credentials.refusal(ddo, consumer, state, environments)


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
