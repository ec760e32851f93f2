"""The grants of a job: one per file and one per DDO, for the configuration pod to redeem.

They are made before the job runs and may be redeemed hours later. :mod:`c2d_box.provider.compute.redeeming`
then decides again on what they carry.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from c2d_box.assets.permissions import PublishedAlgorithm
from c2d_box.provider.auth.grants import GrantCipher, GrantedAlgorithm, InputGrant
from c2d_box.provider.compute.algorithms import AcceptedAlgorithm
from c2d_box.provider.compute.datasets import AcceptedDataset
from c2d_box.provider.resolved_services import ServiceOffering
from c2d_box.provider.settings import ProviderSettings


def grants_for(
    cipher: GrantCipher,
    settings: ProviderSettings,
    datasets: Sequence[AcceptedDataset],
    algorithm: AcceptedAlgorithm,
    job: str,
    consumer: str,
    environment: str,
    *,
    network: bool,
) -> dict[str, object]:
    """Return the document with all grants of a job, which operator-service stores in the job's Secret.

    A grant is a sealed text that only this Provider can open. Whoever reads the Secret learns no URL from it,
    and it holds all that the redeeming has to check again.
    """
    now = int(time.time())
    # The parts that all grants of the job share. ``issued`` is the moment as of which an order's expiry is
    # judged when the grant is redeemed.
    some = InputGrant("ddo", job, "", now + settings.grant_seconds, consumer=consumer, issued=now)
    return {
        # The configuration pod calls back here: it reaches the Provider inside the cluster only.
        "provider": settings.internal_url.rstrip("/"),
        "inputs": [
            _dataset_grants(cipher, replace(some, environment=environment), dataset, algorithm, network)
            for dataset in datasets
        ],
        "algorithm": _algorithm_grants(cipher, some, algorithm),
    }


def _dataset_grants(
    cipher: GrantCipher,
    some: InputGrant,
    dataset: AcceptedDataset,
    algorithm: AcceptedAlgorithm,
    network: bool,
) -> dict[str, object]:
    """Return a dataset's grants: one for its description, one for each file. Each carries the algorithm that
    was permitted, because the permission is decided again when it is redeemed."""
    granted = replace(
        _asset_grant(some, dataset.offered, dataset.reference.order_tx),
        algorithm=_granted_algorithm(dataset, algorithm, network),
    )
    return {
        "did": dataset.offered.ddo.id,
        "ddo": cipher.seal_grant(granted),
        "files": [
            cipher.seal_grant(replace(granted, what="file", file=at, userdata=dataset.reference.userdata))
            for at in range(len(dataset.files))
        ],
    }


def _granted_algorithm(
    dataset: AcceptedDataset, algorithm: AcceptedAlgorithm, network: bool
) -> GrantedAlgorithm:
    """Return what a later decision needs to know of the algorithm. The checksums are those of the start,
    since what runs is what was hashed then."""
    main, facts, offered = dataset.index == 0, algorithm.facts, algorithm.offered
    if offered is None or not isinstance(facts, PublishedAlgorithm):
        return GrantedAlgorithm(main=main, network=network)
    return GrantedAlgorithm(
        did=facts.did,
        service=offered.service.id,
        files=facts.files_checksum,
        container=facts.container_checksum,
        readable=facts.files_readable,
        main=main,
        network=network,
    )


def _algorithm_grants(
    cipher: GrantCipher, some: InputGrant, algorithm: AcceptedAlgorithm
) -> dict[str, object]:
    """Return the algorithm's grants. A file's grant carries its hash, which the download is compared with:
    other bytes under the same URL must not run."""
    offered = algorithm.offered
    if offered is None:
        # Raw code by URL has no DDO to look the source up in, so the sealed grant holds the source itself.
        files = [
            cipher.seal_grant(replace(some, what="raw", source=file.to_dict())) for file in algorithm.files
        ]
        return {"did": "", "ddo": None, "files": files}
    asset = algorithm.reference.asset
    granted = _asset_grant(some, offered, asset.order_tx)
    return {
        "did": offered.ddo.id,
        "ddo": cipher.seal_grant(granted),
        "files": [
            cipher.seal_grant(replace(granted, what="file", file=at, sha256=digest, userdata=asset.userdata))
            for at, digest in enumerate(algorithm.digests)
        ],
    }


def _asset_grant(some: InputGrant, offered: ServiceOffering, tx: str) -> InputGrant:
    """Return the shared parts with one asset, its service and its order filled in."""
    return replace(some, did=offered.ddo.id, service=offered.service.id, order=tx)
