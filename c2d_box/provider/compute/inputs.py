"""The grants of a job: one per file and one per DDO, for the configuration pod to redeem."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from c2d_box.assets.permissions import PublishedAlgorithm
from c2d_box.provider.compute.algorithms import Algorithm
from c2d_box.provider.compute.datasets import Dataset
from c2d_box.provider.grants import Grant, Granted
from c2d_box.provider.incoming import user_data
from c2d_box.provider.offerings import Offering
from c2d_box.provider.services import Services


def grants_for(
    services: Services,
    datasets: Sequence[Dataset],
    algorithm: Algorithm,
    job: str,
    consumer: str,
    environment: str,
    *,
    network: bool,
) -> dict[str, Any]:
    """Return the document with all grants of a job, which operator-service stores in the job's Secret."""
    now = int(time.time())
    some = Grant("ddo", job, "", now + services.settings.grant_seconds, consumer=consumer, issued=now)
    return {
        "provider": services.settings.internal_url.rstrip("/"),
        "inputs": [
            _dataset(services, replace(some, environment=environment), dataset, algorithm, network)
            for dataset in datasets
        ],
        "algorithm": _algorithm(services, some, algorithm),
    }


def _dataset(
    services: Services, some: Grant, dataset: Dataset, algorithm: Algorithm, network: bool
) -> dict[str, Any]:
    granted = replace(
        _of_asset(some, dataset.offered, dataset.tx), algorithm=_granted(dataset, algorithm, network)
    )
    return {
        "did": dataset.offered.ddo.id,
        "ddo": services.grants.seal(granted),
        "files": [
            services.grants.seal(replace(granted, what="file", file=at, userdata=dataset.userdata))
            for at in range(len(dataset.files))
        ],
    }


def _granted(dataset: Dataset, algorithm: Algorithm, network: bool) -> Granted:
    main, facts, offered = dataset.index == 0, algorithm.facts, algorithm.offered
    if offered is None or not isinstance(facts, PublishedAlgorithm):
        return Granted(main=main, network=network)
    return Granted(
        did=facts.did,
        service=offered.service.id,
        files=facts.files_checksum,
        container=facts.container_checksum,
        readable=facts.files_readable,
        main=main,
        network=network,
    )


def _algorithm(services: Services, some: Grant, algorithm: Algorithm) -> dict[str, Any]:
    offered = algorithm.offered
    if offered is None:
        files = [
            services.grants.seal(replace(some, what="raw", source=file.to_dict())) for file in algorithm.files
        ]
        return {"did": "", "ddo": None, "files": files}
    granted = _of_asset(some, offered, str(algorithm.item.get("transferTxId") or ""))
    userdata = user_data(algorithm.item.get("userdata"))
    return {
        "did": offered.ddo.id,
        "ddo": services.grants.seal(granted),
        "files": [
            services.grants.seal(replace(granted, what="file", file=at, sha256=digest, userdata=userdata))
            for at, digest in enumerate(algorithm.digests)
        ],
    }


def _of_asset(some: Grant, offered: Offering, tx: str) -> Grant:
    return replace(some, did=offered.ddo.id, service=offered.service.id, order=tx)
