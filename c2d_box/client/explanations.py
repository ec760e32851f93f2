"""Explains why an algorithm may or may not run on a dataset, judged from here by the Provider's own rule.

The facts are read as a Provider reads them: owner and market from the chain, checksums through the Provider.
Only what an operator sets cannot be seen from outside and has to be given.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from c2d_box.assets import checksums
from c2d_box.assets.documents.ddo import COMPUTE
from c2d_box.assets.permissions import (
    EmptyLists,
    PermissionRequest,
    PermissionVerdict,
    PublishedAlgorithm,
    RawAlgorithm,
    decide_permission,
)
from c2d_box.client.connection import Connection
from c2d_box.errors import Refused

RAW = "raw"
"""Stands for code that nobody has published, where an algorithm's DID is asked for."""


@dataclass(frozen=True)
class AlgorithmVersion:
    """One version of an algorithm, as a permission pins it: the checksums of its files and container."""

    files_checksum: str
    container_checksum: str

    @classmethod
    def from_digests(cls, digests: Iterable[str], entrypoint: str, image: str) -> AlgorithmVersion:
        """Make the version of files given by SHA-256, started by ``entrypoint`` in the image with the digest
        ``image``."""
        return cls(checksums.files_checksum(digests), checksums.container_checksum(entrypoint, image))

    def is_version_of(self, facts: PublishedAlgorithm) -> bool:
        """Return whether a published algorithm is this very version. One whose files cannot be
        read is not."""
        # Hex in a DDO may be in either case.
        files, container = facts.files_checksum.lower(), facts.container_checksum.lower()
        return (files, container) == (self.files_checksum.lower(), self.container_checksum.lower())


def explain_permission(
    connection: Connection, dataset: str, algorithm: str, empty_lists: EmptyLists = "none"
) -> PermissionVerdict:
    """Return the verdict on ``algorithm`` as it is now (or on :data:`RAW`), with the reason of every rule.

    ``empty_lists`` is the operator's setting for datasets that name nobody. Raises Refused where an asset
    is unknown, offers no service or is no algorithm.
    """
    ddo = connection.cache.read_ddo(dataset)
    # A dataset without compute service may still be additional input; its rules stand at the first.
    service = ddo.first_service(COMPUTE) or next(iter(ddo.services), None)
    if service is None:
        raise Refused("C2D-ASSET-NO-SERVICE", f"{dataset} offers no service", "ask its publisher")
    facts = RawAlgorithm() if algorithm == RAW else algorithm_facts(connection, algorithm)
    # The Provider demands a compute service of the first dataset only.
    main = service.type == COMPUTE
    return decide_permission(PermissionRequest(dataset, service, facts, empty_lists=empty_lists, main=main))


def algorithm_facts(connection: Connection, did: str) -> PublishedAlgorithm:
    """Return what the rules compare of a published algorithm. There is no files checksum where its files
    cannot be read."""
    from c2d_box.chain import nfts

    algorithm = connection.cache.read_ddo(did)
    if not algorithm.is_algorithm or algorithm.container is None or not algorithm.services:
        raise Refused("C2D-PERMIT-NOT-ALGORITHM", f"{did} is not an algorithm", "name an algorithm's DID")
    service, container = algorithm.services[0], algorithm.container
    # The Provider hashes the files: they are encrypted for it, and nobody else can read them.
    infos = connection.provider.file_info({"did": did, "serviceId": service.id, "checksum": True})
    digests = [str(info.get("checksum") or "") for info in infos]
    return PublishedAlgorithm(
        did=did,
        owner=nfts.nft_owner(connection.chain, algorithm.nft_address),
        market=nfts.publishing_market(connection.chain, service.datatoken_address),
        # One missing digest makes the whole checksum meaningless, so it stays empty.
        files_checksum=checksums.files_checksum(digests) if all(digests) else "",
        container_checksum=checksums.container_checksum(container.entrypoint, container.checksum),
        service_type=service.type,
    )
