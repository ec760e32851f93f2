"""Finds the algorithm of a request, published or raw, and what would really run (file hashes, container).

Permissions are given to bytes and not to names. So a published algorithm is hashed here as its source serves
it now, and its description's own checksums are never believed.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from c2d_box import limits
from c2d_box.assets import checksums
from c2d_box.assets.documents.ddo import COMPUTE, DdoContainer
from c2d_box.assets.files import FileObject, FileObjectError, UrlFile, parse_file
from c2d_box.assets.permissions import PublishedAlgorithm, RawAlgorithm
from c2d_box.provider.compute.context import ComputeContext
from c2d_box.provider.errors import ProviderRefusal, compute_refusal
from c2d_box.provider.requests.compute_requests import AlgorithmReference, RawProgram
from c2d_box.provider.resolved_services import (
    ServiceOffering,
    find_offering,
    readable_files,
    reading_audience,
    user_data_problems,
)
from c2d_box.provider.settings import UserDataSection


@dataclass(frozen=True)
class AcceptedAlgorithm:
    """The algorithm of a request. Permissions are decided on ``facts``. ``digests`` are the files' sha256 in
    order. A raw algorithm's ``files`` hold its one URL, or nothing where it carries its code."""

    facts: PublishedAlgorithm | RawAlgorithm
    container: DdoContainer
    reference: AlgorithmReference
    offered: ServiceOffering | None = None
    files: list[FileObject] = field(default_factory=list, repr=False)
    digests: tuple[str, ...] = ()

    @property
    def did(self) -> str:
        """Return the DID of a published algorithm, empty for a raw one."""
        return self.offered.ddo.id if self.offered else ""

    @property
    def rawcode(self) -> str:
        """Return the code that the request carries, empty where it names a URL or a published algorithm."""
        return (self.reference.raw.rawcode or "") if self.reference.raw else ""


async def accept_algorithm(
    context: ComputeContext, reference: AlgorithmReference, *, not_algorithm: ProviderRefusal, anew: bool
) -> AcceptedAlgorithm:
    """Return the algorithm that the request names. Raise Refusal with the code that clients know;
    ``not_algorithm`` is the refusal of a DID of another type. ``anew``: the files are read now, instead of
    trusting hashes from some seconds ago.

    A start reads anew, a quote does not have to. Neither lets other code run than was permitted, since the
    files come to the job by the hashes found here. But a start with old hashes of changed files would make a
    job that cannot get them, after it is paid, where now it is refused.

    The container is not checked here: :func:`require_container` does that for a start, after the orders,
    which is where clients expect its refusal.
    """
    # A DID wins over raw code that stands beside it, as AlgorithmReference promises.
    if reference.asset.did:
        found = await _published_algorithm(context, reference, not_algorithm, anew)
    elif reference.raw is not None:
        found = _raw_algorithm(reference, reference.raw)
    else:
        raise compute_refusal("algorithm", "missing_meta_documentId")
    _require_small(reference.carried_bytes)
    return found


def _require_small(carried: int) -> None:
    """Refuse raw code and custom data that do not fit into the job's record: before the job is paid, not
    after."""
    if carried > limits.CARRIED_BYTES:
        text = f"raw code and custom data take {carried} bytes, {limits.CARRIED_BYTES} are allowed"
        raise compute_refusal("algorithm", "too_large", {"problem": text})


def require_container(container: DdoContainer) -> None:
    """Refuse a container that lacks its image, its command or the image's digest. A tag alone may name
    another image tomorrow, so without a digest nobody can have permitted what runs."""
    if not (container.entrypoint and container.image and container.checksum):
        raise compute_refusal("algorithm.container", "missing_entrypoint_image_checksum")
    # A bare hex text would not name an image: the runtime pulls by the digest as OCI writes it.
    if not container.checksum.startswith("sha256:"):
        raise compute_refusal("algorithm.container", "checksum_prefix")


async def _published_algorithm(
    context: ComputeContext, reference: AlgorithmReference, not_algorithm: ProviderRefusal, anew: bool
) -> AcceptedAlgorithm:
    """Return the published algorithm. The refusals come in the order that clients know: asset, type, service,
    readable files, user data, and the files themselves last, since only they cost requests to a source."""
    asset = reference.asset
    ddo = (await context.current_asset(asset.did)).ddo
    if ddo is None:
        raise compute_refusal("algorithm", "file_unavailable")
    if not ddo.is_algorithm:
        raise not_algorithm
    if not asset.service_id:
        raise compute_refusal("algorithm.serviceId", "missing")
    offered = find_offering(ddo, asset.service_id)
    if offered is None:
        raise compute_refusal("algorithm", "file_unavailable")
    # None where another Provider has encrypted the files. For a compute service that is left to the
    # permission, which refuses it with a code of its own; for any other service there is nothing to read.
    readable = readable_files(context.key, offered)
    if readable is None and offered.service.type != COMPUTE:
        raise compute_refusal("algorithm", "file_unavailable")
    _require_fitting(context.settings.user_data, reference, offered)
    audience = reading_audience(offered, asset.userdata)
    digests = await _file_digests(context, readable or [], asset.userdata, audience, anew)
    container = ddo.container or DdoContainer()
    # These are what permissions are decided on. The checksums are of what would run now, not those that the
    # description claims.
    facts = PublishedAlgorithm(
        did=ddo.id,
        owner=await context.ledger.nft_owner(ddo.nft_address),
        market=await context.ledger.datatoken_market(offered.service.datatoken_address),
        files_checksum=checksums.files_checksum(digests),
        container_checksum=checksums.container_checksum(container.entrypoint, container.checksum),
        service_type=offered.service.type,
        files_readable=readable is not None,
    )
    return AcceptedAlgorithm(facts, container, reference, offered, readable or [], digests)


def _require_fitting(rule: UserDataSection, reference: AlgorithmReference, offered: ServiceOffering) -> None:
    """Refuse data that does not fit what the publisher describes. User data goes to the source of the
    service's files; custom data goes to the algorithm itself."""
    # The two descriptions stand in different places of the DDO: one at the service, one in the algorithm's
    # metadata.
    section = offered.ddo.metadata.algorithm
    expected = section.consumer_parameters if section else None
    for key, described, sent in (
        ("userdata", offered.service.consumer_parameters, reference.asset.userdata),
        ("algocustomdata", expected, reference.custom_data),
    ):
        if misfits := user_data_problems(rule, described, sent):
            raise compute_refusal(f"algorithm.{key}", "invalid", misfits)


async def _file_digests(
    context: ComputeContext,
    files: list[FileObject],
    userdata: dict[str, object] | None,
    audience: str,
    anew: bool,
) -> tuple[str, ...]:
    """Return the hashes of the files that would really run. Raise Refusal for a file that cannot be read, or
    is too large to be hashed."""
    limit = context.settings.fetch.max_algorithm_length
    probes = await context.storage.probe_all(
        files, userdata, checksum_limit=limit, audience=audience, anew=anew
    )
    for probe in probes:
        if not probe.valid:
            raise compute_refusal("algorithm", "file_unavailable", {"problem": probe.reason})
        # A file that is too large to hash could be anything, so no publisher can have permitted it.
        if probe.sha256 is None:
            reason = (
                f"a file of the algorithm has more than {limit} bytes, which this Provider does not check"
            )
            raise compute_refusal("algorithm", "file_too_large", {"problem": reason})
    return tuple(probe.sha256 or "" for probe in probes)


def _raw_algorithm(reference: AlgorithmReference, raw: RawProgram) -> AcceptedAlgorithm:
    """Return an algorithm that the request itself carries. Raise Refusal unless it is code as text or one
    URL."""
    if raw.rawcode is None:
        raise compute_refusal("algorithm", "rawcode_invalid", {"problem": "rawcode has to be a text"})
    if not raw.rawcode and not raw.source:
        raise compute_refusal("algorithm", "meta_oneof_url_rawcode_remote")
    files: list[FileObject] = []
    if not raw.rawcode:
        try:
            files = [parse_file(raw.source)]
        except FileObjectError:
            raise compute_refusal("algorithm", "file_unavailable") from None
        if not isinstance(files[0], UrlFile):
            raise compute_refusal("algorithm", "file_unavailable")
    return AcceptedAlgorithm(RawAlgorithm(), raw.container, reference, files=files)
