"""The status object of ``/compute``: Ocean's keys, types and oddities (strings for times, "" for no
results).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from c2d_box.workflow import states
from c2d_box.workflow.resource import WorkFlow


def as_seconds(moment: float | None) -> str | None:
    """Return Unix seconds as the text that Ocean's clients parse; None before the moment is there."""
    return None if moment is None else f"{moment:.6f}"


def result_list(workflow: WorkFlow) -> list[dict[str, Any]] | str:
    """Return the results without their storage addresses; the position is the index of ``getResult``."""
    listed = [
        {
            "filename": result.filename,
            "filesize": result.filesize,
            "type": result.type,
            "index": index,
            **({"encryption": result.encryption} if result.encryption else {}),
        }
        for index, result in enumerate(workflow.status.results or ())
    ]
    # Ocean's status has an empty text in place of an empty list.
    return listed or ""


def owner_status(workflow: WorkFlow) -> dict[str, Any]:
    """Return the status for the job's owner. ``orders``, ``reason``, ``exitCode``, ``asset`` and ``times``
    are ours; clients ignore other keys.
    """
    spec, state = workflow.spec, workflow.status
    algorithm = workflow.stage.algorithm
    return {
        "agreementId": spec.agreement_id,
        "jobId": workflow.job,
        "owner": spec.owner,
        "status": state.code,
        "statusText": state.text,
        "dateCreated": as_seconds(workflow.at("accepted")),
        "dateFinished": as_seconds(workflow.at("finished")),
        "results": result_list(workflow),
        # A wish to stop counts at once, before the engine has acted on it; after the end only what happened
        # counts.
        "stopreq": max(state.stop, int(workflow.spec.stop and not workflow.finished)),
        "removed": int(workflow.deleted is not None or workflow.at("expired") is not None),
        # Ocean's word for an algorithm that was sent along.
        "algoDID": "raw" if algorithm.id is None else algorithm.id,
        "inputDID": [entry.id for entry in workflow.stage.input],
        "orders": list(spec.orders),
        "environment": spec.environment,
        "reason": state.reason,
        "exitCode": state.algorithm.exit_code,
        "evidence": state.evidence,
        "asset": (state.asset or {}).get("did"),
        "times": {moment: as_seconds(workflow.at(moment)) for moment in state.times},  # type: ignore[arg-type]
    }


_PUBLIC = (
    "agreementId",
    "jobId",
    "owner",
    "status",
    "statusText",
    "dateCreated",
    "stopreq",
    "removed",
    "algoDID",
    "inputDID",
    "orders",
    "environment",
    "asset",
)
"""Keys that say how the job was ordered and how far it is; a key that is new is not public by itself."""


def public_status(found: Mapping[str, Any]) -> dict[str, Any]:
    """Reduce a status to the part that anybody may read: what the job was started with, its stage, and the
    types and positions of its results, as clients need them. Names, sizes, reasons, exit codes and exact
    times are left out: an algorithm chooses them, so they are as good as outputs.
    """
    listed = found.get("results") or []
    finished = found.get("dateFinished")
    return {
        **{key: found[key] for key in _PUBLIC if key in found},
        # Whole seconds: the exact moment of the end is of the algorithm's choice.
        "dateFinished": as_seconds(float(int(float(finished)))) if finished else finished,
        "results": [_coarse_result(entry, index) for index, entry in enumerate(listed)] or "",
        "reason": None,
        "exitCode": None,
        "times": {},
    }


def _coarse_result(entry: Mapping[str, Any], index: int) -> dict[str, Any]:
    """Return a result without what the algorithm chose. Outputs get a name by their position, since clients
    insist on one; our own files keep theirs."""
    kind = entry.get("type")
    name = f"output-{index}" if kind == "output" else entry.get("filename")
    sealed = {"encryption": entry["encryption"]} if entry.get("encryption") else {}
    return {"filename": name, "filesize": 0, "type": kind, "index": index, **sealed}


def status_event(workflow: WorkFlow) -> dict[str, Any]:
    """Return the event that the Provider gets on every change."""
    return {
        "jobId": workflow.job,
        "status": workflow.status.code,
        "statusText": workflow.status.text,
        "dateFinished": as_seconds(workflow.at("finished")),
        "final": workflow.status.code in states.FINAL,
    }
