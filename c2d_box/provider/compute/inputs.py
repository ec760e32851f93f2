"""The grants of a job: one per file and one per DDO, for the configuration pod to redeem."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from c2d_box.provider.compute.algorithms import Algorithm
from c2d_box.provider.compute.datasets import Dataset
from c2d_box.provider.grants import Grant
from c2d_box.provider.incoming import user_data
from c2d_box.provider.offerings import Offering
from c2d_box.provider.services import Services


def grants_for(
    services: Services, datasets: Sequence[Dataset], algorithm: Algorithm, job: str, consumer: str
) -> dict[str, Any]:
    """The document that travels to the job's Secret."""
    seal = _Sealer(services, job, consumer)
    return {
        "provider": services.settings.internal_url.rstrip("/"),
        "inputs": [
            {
                "did": dataset.offered.ddo.id,
                "ddo": seal.ddo(dataset.offered, dataset.tx),
                "files": [
                    seal.file(dataset.offered, at, dataset.tx, dataset.userdata)
                    for at in range(len(dataset.files))
                ],
            }
            for dataset in datasets
        ],
        "algorithm": seal.algorithm(algorithm),
    }


class _Sealer:
    def __init__(self, services: Services, job: str, consumer: str) -> None:
        self._grants = services.grants
        self._job = job
        self._consumer = consumer
        self._expires = int(time.time()) + services.settings.grant_seconds

    def ddo(self, offered: Offering, tx: str) -> str:
        return self._grants.seal(
            Grant("ddo", self._job, offered.ddo.id, self._expires, order=tx, consumer=self._consumer)
        )

    def file(
        self,
        offered: Offering,
        index: int,
        tx: str,
        userdata: dict[str, Any] | None,
        sha256: str = "",
    ) -> str:
        return self._grants.seal(
            Grant(
                "file",
                self._job,
                offered.ddo.id,
                self._expires,
                service=offered.service.id,
                file=index,
                order=tx,
                consumer=self._consumer,
                sha256=sha256,
                userdata=userdata,
            )
        )

    def algorithm(self, algorithm: Algorithm) -> dict[str, Any]:
        offered = algorithm.offered
        if offered is None:
            files = [
                self._grants.seal(
                    Grant("raw", self._job, "", self._expires, consumer=self._consumer, source=file.to_dict())
                )
                for file in algorithm.files
            ]
            return {"did": "", "ddo": None, "files": files}
        tx = str(algorithm.item.get("transferTxId") or "")
        userdata = user_data(algorithm.item.get("userdata"))
        return {
            "did": offered.ddo.id,
            "ddo": self.ddo(offered, tx),
            "files": [
                self.file(offered, at, tx, userdata, digest) for at, digest in enumerate(algorithm.digests)
            ],
        }
