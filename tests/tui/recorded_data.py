"""What a box answered once: its assets, jobs, transactions, pods and results."""

from __future__ import annotations

from typing import Any

from c2d_box.errors import Failed
from sandbox.verbs.inspection.chain import ContractEvent, DecodedTransaction
from sandbox.verbs.inspection.pods import PodSummary
from tui.backend.port import Ddo

NOW = 1_800_000_000.0
DATASET = "did:op:" + "aa11" * 16
PRIVATE = "did:op:" + "bb22" * 16
ALGORITHM = "did:op:" + "cc33" * 16
RUNNING, DONE, BROKEN = "1" * 32, "2" * 32, "3" * 32
GONE = Failed(
    "C2D-SERVICE-UNREACHABLE",
    "the Provider at http://127.0.0.1:8030 does not answer",
    "see whether it runs: c2d-box status",
)


def recorded_ddo(did: str, kind: str, name: str, price: float) -> Ddo:
    service = {"id": "compute", "type": "compute", "datatokenAddress": "0x" + "1" * 40, "timeout": 0}
    if kind == "dataset":
        trusted = [{"did": ALGORITHM}] if did == DATASET else []
        service["compute"] = {"publisherTrustedAlgorithms": trusted, "allowRawAlgorithm": False}
    return {
        "id": did,
        "nftAddress": "0x" + did[-4:] * 10,
        "metadata": {
            "type": kind,
            "name": name,
            "author": "publisher",
            "description": f"{name}, for tests",
            "created": "2026-01-01T00:00:00Z",
        },
        "services": [service],
        "stats": {"price": {"value": price, "tokenSymbol": "OCEAN"}, "orders": 2},
        "nft": {"owner": "0x" + "9" * 40},
    }


def recorded_job(
    job_id: str, status: int, text: str, began: float, ended: float | None, **more: Any
) -> dict[str, Any]:
    return {
        "jobId": job_id,
        "owner": "0x" + "7" * 40,
        "agreementId": "0x" + "5" * 64,
        "status": status,
        "statusText": text,
        "dateCreated": f"{began:.6f}",
        "dateFinished": f"{ended:.6f}" if ended else None,
        "results": "",
        "stopreq": 0,
        "removed": 0,
        "algoDID": ALGORITHM,
        "inputDID": [DATASET],
        "environment": "ocean-compute",
        "reason": "",
        "exitCode": None,
        "times": {},
        **more,
    }


def recorded_transaction(n: int) -> DecodedTransaction:
    arguments = {"to": "consumer", "value": str(10**18)}
    happening = ContractEvent("OCEAN", "0x" + "0" * 40, "Transfer", {"from": "publisher", **arguments})
    function = ("transfer", "startOrder")[n % 2]
    return DecodedTransaction(
        f"0x{n:064x}",
        12 - n,
        int(NOW) - 12 * n,
        "publisher",
        "OCEAN",
        function,
        arguments,
        n != 1,
        52_000,
        (happening,),
    )


def recorded_pod(
    namespace: str,
    name: str,
    state: str,
    restarts: int,
    job: str = "",
    containers: tuple[str, ...] = ("main",),
) -> PodSummary:
    part = name.rpartition("-")[2] if job else ""
    return PodSummary(namespace, name, state, "1/1", restarts, NOW - 60, "10.0.0.9", containers, job, part)


RESULTS = [
    {"filename": "metrics.json", "filesize": 48, "type": "output", "index": 0},
    {"filename": "table.csv", "filesize": 40, "type": "output", "index": 1},
    {"filename": "report.md", "filesize": 1200, "type": "output", "index": 2},
    {"filename": "algorithm.log", "filesize": 300, "type": "algorithmLog", "index": 3},
]
CONTENTS = {
    0: b'{"accuracy": 0.9736, "folds": [0.97, 0.98]}',
    1: b"name,value\nalpha,1\nbeta,2\n",
    2: b"# Report\n\nAll fine.\n",
    3: b"training\x1b]0;pwned\x07 done\n",
}
TIMES = {
    "accepted": NOW - 120,
    "admitted": NOW - 119.9,
    "bound": NOW - 119.5,
    "staged": NOW - 117,
    "started": NOW - 116,
    "exited": NOW - 110,
    "judged": NOW - 109.5,
    "uploaded": NOW - 109,
    "finished": NOW - 108.9,
}
