"""Builders of merge patches of a WorkFlow's status, used by the plan and by the pods' reports."""

from __future__ import annotations

from typing import Any

from c2d_box import limits, timestamps
from c2d_box.workflow import states
from c2d_box.workflow.resource import Moment, WorkFlow
from c2d_box.workflow.states import State, Stop

REASON_LENGTH = limits.REASON_CHARACTERS
SHOWN_PATH = 120
"""Characters of a path in a reason: a longer path would push the reason itself out."""
Changes = dict[str, Any]
"""Part of a status, as a JSON merge patch."""


def set_moment(now: float, *moments: Moment) -> Changes:
    """Record that ``moments`` were reached ``now``; a moment is written once."""
    return {"times": {name: timestamps.rfc3339_text(now) for name in moments}}


def set_state(code: int, reason: str | None = None) -> Changes:
    """Set the job's state. Number, text and phase are always written together."""
    changes: Changes = {"code": int(code), "text": states.state_text(code), "phase": states.state_phase(code)}
    if reason is not None:
        # Cut, since a reason may quote a registry's message of any length, and the
        # status is one object in etcd.
        changes["reason"] = reason[:REASON_LENGTH]
    return changes


def set_outcome(code: State, reason: str, stop: Stop | None = None) -> Changes:
    """Record how the job will end, once its logs are published."""
    changes: Changes = {
        "outcome": {"code": int(code), "reason": reason[:REASON_LENGTH]},
        # Shown at once, while the job still publishes.
        "reason": reason[:REASON_LENGTH],
    }
    return changes if stop is None else {**changes, "stop": int(stop)}


def finish_job(now: float, code: State, reason: str, *, stop: Stop | None = None) -> Changes:
    """End the job: number, reason and end date in one write."""
    changes = {**set_state(code, reason), **set_moment(now, "finished")}
    return changes if stop is None else {**changes, "stop": int(stop)}


def merge_patches(*parts: Changes) -> Changes:
    """Merge the parts into one patch; their ``times`` are joined."""
    result: Changes = {}
    for part in parts:
        # Other keys of a later part win as a whole, nested ones included.
        times = {**result.get("times", {}), **part.get("times", {})}
        result.update(part)
        if times:
            result["times"] = times
    return result


def end_publishing(workflow: WorkFlow, now: float, failure: str | None) -> Changes:
    """End the job after publishing: as decided before, unless outputs were refused or could not be stored.

    A job that had failed anyway keeps its own failure: that is what its owner can act on.
    """
    decided = workflow.status.outcome
    # No outcome on record: nothing was wrong with the run.
    code = State(decided.code) if decided else State.FINISHED
    reason = (decided.reason or "") if decided else ""
    # Only a job that was well until now ends 79.
    if failure is not None:
        if code is State.FINISHED:
            return finish_job(now, State.PUBLISHING_FAILED, failure)
        return finish_job(now, code, f"{reason} Publishing the logs failed too: {failure}".strip())
    refused = workflow.status.refused or ()
    # Only here, and not in the judge's report: what was decided before the verdict comes first.
    if refused and code is State.FINISHED:
        first = refused[0]
        # The path is the algorithm's own text; it is shortened so that the reason behind it stays readable.
        path = limits.shortened_text(str(first.get("path")), SHOWN_PATH)
        count = max(workflow.status.refused_count or 0, len(refused))
        text = f"{count} of the outputs refused, the first: {path}: {first.get('reason')}"
        return finish_job(now, State.OUTPUTS_REFUSED, text)
    return finish_job(now, code, reason)
