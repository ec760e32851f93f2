"""Finds the algorithm of a request, published or raw, and what would really run (file hashes, container).

``documentId`` always wins over ``meta``: a request must not be able to say what a trusted DID is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from c2d_box import limits
from c2d_box.assets import checksums
from c2d_box.assets.documents.ddo import COMPUTE
from c2d_box.assets.files import FileObject, FileObjectError, UrlFile, parse_file
from c2d_box.assets.permissions import PublishedAlgorithm, RawAlgorithm
from c2d_box.provider.errors import ProviderRefusal
from c2d_box.provider.freshness import current_asset
from c2d_box.provider.requests.parameters import user_data
from c2d_box.provider.resolved_services import (
    ServiceOffering,
    find_offering,
    readable_files,
    reading_audience,
    user_data_problems,
)
from c2d_box.provider.services import ProviderContext


@dataclass(frozen=True)
class AcceptedAlgorithm:
    """The algorithm of a request. Permissions are decided on ``facts``. ``digests`` are the files' sha256 in
    order. A raw algorithm's ``files`` hold its one URL, or nothing where it carries its code."""

    facts: PublishedAlgorithm | RawAlgorithm
    container: dict[str, str]
    item: Mapping[str, Any]
    offered: ServiceOffering | None = None
    files: list[FileObject] = field(default_factory=list, repr=False)
    digests: tuple[str, ...] = ()
    rawcode: str = ""

    @property
    def did(self) -> str:
        return self.offered.ddo.id if self.offered else ""


def compute_refusal(resource: str, code: str, reasons: Any = None) -> ProviderRefusal:
    return ProviderRefusal({resource: code}, reasons=reasons)


async def accept_algorithm(
    services: ProviderContext, item: Any, *, not_algorithm: ProviderRefusal, anew: bool
) -> AcceptedAlgorithm:
    """Return the algorithm that the request names. Raise Refusal with the code that clients know;
    ``not_algorithm`` is the refusal of a DID of another type. ``anew``: the files are read now, instead of
    trusting hashes from some seconds ago.

    A start reads anew, a quote does not have to. Neither lets other code run than was permitted, since the
    files come to the job by the hashes found here. But a start with old hashes of changed files would make a
    job that cannot get them, after it is paid, where now it is refused.
    """
    if not isinstance(item, Mapping) or not (item.get("documentId") or item.get("meta")):
        raise compute_refusal("algorithm", "missing_meta_documentId")
    if item.get("documentId"):
        found = await _published_algorithm(services, item, not_algorithm, anew)
    else:
        found = _raw_algorithm(item)
    _require_small(found)
    return found


def _require_small(algorithm: AcceptedAlgorithm) -> None:
    """Refuse raw code and custom data that do not fit into the job's record: before the job is paid, not
    after."""
    carried = limits.stored_bytes([algorithm.rawcode, algorithm.item.get("algocustomdata")])
    if carried > limits.CARRIED_BYTES:
        text = f"raw code and custom data take {carried} bytes, {limits.CARRIED_BYTES} are allowed"
        raise compute_refusal("algorithm", "too_large", {"problem": text})


def require_container(container: Mapping[str, Any]) -> None:
    """Refuse a container that lacks its image, its command or the image's digest."""
    if not all(container.get(key) for key in ("entrypoint", "image", "checksum")):
        raise compute_refusal("algorithm.container", "missing_entrypoint_image_checksum")
    if not str(container["checksum"]).startswith("sha256:"):
        raise compute_refusal("algorithm.container", "checksum_prefix")


async def _published_algorithm(
    services: ProviderContext, item: Mapping[str, Any], not_algorithm: ProviderRefusal, anew: bool
) -> AcceptedAlgorithm:
    current = await current_asset(services, item["documentId"])
    ddo = current.ddo
    if ddo is None:
        raise compute_refusal("algorithm", "file_unavailable")
    if not ddo.is_algorithm:
        raise not_algorithm
    if item.get("serviceId") in (None, ""):
        raise compute_refusal("algorithm.serviceId", "missing")
    offered = find_offering(ddo, item["serviceId"])
    if offered is None:
        raise compute_refusal("algorithm", "file_unavailable")
    readable = readable_files(services, offered)
    if readable is None and offered.service.type != COMPUTE:
        raise compute_refusal("algorithm", "file_unavailable")
    _require_fitting(services, item, offered)
    userdata = user_data(item.get("userdata"))
    digests = await _file_digests(
        services, readable or [], userdata, reading_audience(offered, userdata), anew
    )
    container = _container_section(ddo.container.raw if ddo.container else {})
    facts = PublishedAlgorithm(
        did=ddo.id,
        owner=await services.ledger.nft_owner(ddo.nft_address),
        market=await services.ledger.datatoken_market(offered.service.datatoken_address),
        files_checksum=checksums.files_checksum(digests),
        container_checksum=checksums.container_checksum(container["entrypoint"], container["checksum"]),
        service_type=offered.service.type,
        files_readable=readable is not None,
    )
    return AcceptedAlgorithm(facts, container, item, offered, readable or [], digests)


def _require_fitting(services: ProviderContext, item: Mapping[str, Any], offered: ServiceOffering) -> None:
    """Refuse data that does not fit what the publisher describes. User data goes to the source of the
    service's files; custom data goes to the algorithm itself."""
    section = offered.ddo.metadata.algorithm
    described = {
        "userdata": offered.service.consumer_parameters,
        "algocustomdata": section.consumer_parameters if section else None,
    }
    for key, parameters in described.items():
        if misfits := user_data_problems(services, parameters, user_data(item.get(key))):
            raise compute_refusal(f"algorithm.{key}", "invalid", misfits)


async def _file_digests(
    services: ProviderContext,
    files: list[FileObject],
    userdata: dict[str, Any] | None,
    audience: str,
    anew: bool,
) -> tuple[str, ...]:
    """Return the hashes of the files that would really run. Raise Refusal for a file that cannot be read, or
    is too large to be hashed."""
    limit = services.settings.fetch.max_algorithm_length
    probes = await services.storage.probe_all(
        files, userdata, checksum_limit=limit, audience=audience, anew=anew
    )
    for probe in probes:
        if not probe.valid:
            raise compute_refusal("algorithm", "file_unavailable", {"problem": probe.reason})
        if probe.sha256 is None:
            reason = (
                f"a file of the algorithm has more than {limit} bytes, which this Provider does not check"
            )
            raise compute_refusal("algorithm", "file_too_large", {"problem": reason})
    return tuple(probe.sha256 or "" for probe in probes)


def _raw_algorithm(item: Mapping[str, Any]) -> AcceptedAlgorithm:
    meta = item["meta"]
    if not isinstance(meta, Mapping):
        raise compute_refusal("algorithm", "missing_meta_documentId")
    rawcode, remote = meta.get("rawcode"), meta.get("url") or meta.get("remote")
    if rawcode and not limits.carries_code(rawcode):
        raise compute_refusal("algorithm", "rawcode_invalid", {"problem": "rawcode has to be a text"})
    if not rawcode and not remote:
        raise compute_refusal("algorithm", "meta_oneof_url_rawcode_remote")
    files: list[FileObject] = []
    if not rawcode:
        try:
            files = [parse_file(remote if isinstance(remote, dict) else {"type": "url", "url": remote})]
        except FileObjectError:
            raise compute_refusal("algorithm", "file_unavailable") from None
        if not isinstance(files[0], UrlFile):
            raise compute_refusal("algorithm", "file_unavailable")
    container = meta.get("container")
    return AcceptedAlgorithm(
        RawAlgorithm(),
        _container_section(container if isinstance(container, Mapping) else {}),
        item,
        files=files,
        rawcode=str(rawcode or ""),
    )


def _container_section(section: Mapping[str, Any]) -> dict[str, str]:
    keys = ("entrypoint", "image", "tag", "checksum")
    return {key: str(section.get(key) or "") for key in keys}
