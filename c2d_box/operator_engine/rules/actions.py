"""The actions a plan can consist of. All actions of one plan may run at once and in any order, and any of
them twice: an order that matters is expressed through the status, by recording the first step and planning
again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from c2d_box.workflow.names import Component


@dataclass(frozen=True, slots=True)
class PatchStatus:
    """Merge ``changes`` into the status of exactly the object that was planned on."""

    changes: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class CreateClaim:
    """Create the claim of the job's volume."""


@dataclass(frozen=True, slots=True)
class CreateSecret:
    """Create the Secret with the stages' tokens and the result store's credentials."""


@dataclass(frozen=True, slots=True)
class CreatePod:
    """Create the pod of ``component``; each attempt has a name of its own."""

    component: Component
    attempt: int = 1


@dataclass(frozen=True, slots=True)
class DeletePod:
    """Delete exactly the pod with this ``uid``, with ``grace`` seconds between request to stop and kill."""

    name: str
    uid: str
    grace: int


@dataclass(frozen=True, slots=True)
class DeleteClaim:
    """Delete the claim. Its volume's data is overwritten before the claim is gone."""


@dataclass(frozen=True, slots=True)
class DeleteSecretsAndLeases:
    """Delete the job's Secrets and release the lock on its order."""


@dataclass(frozen=True, slots=True)
class DeleteResults:
    """Remove the job's results from the store, and say so in the status."""


@dataclass(frozen=True, slots=True)
class ReadIsolationReport:
    """Write the warden's report, read from its log, into the status: evidence, and the moment of
    the start."""


@dataclass(frozen=True, slots=True)
class AddFinalizer:
    """Add our finalizer to the WorkFlow: from then on it cannot vanish before its job is cleaned up."""


@dataclass(frozen=True, slots=True)
class RemoveFinalizer:
    """Take our finalizer off a WorkFlow that is being deleted: it vanishes with that."""


@dataclass(frozen=True, slots=True)
class DeleteWorkflow:
    """Delete the finished WorkFlow, whose time of retention is over."""


@dataclass(frozen=True, slots=True)
class RequeueAt:
    """Reconcile again at this moment (Unix seconds), even if nothing has changed."""

    at: float


# Union, not a base class: type checkers then see that the executor's `match` has a case for each.
Action = (
    PatchStatus
    | CreateClaim
    | CreateSecret
    | CreatePod
    | DeletePod
    | DeleteClaim
    | DeleteSecretsAndLeases
    | DeleteResults
    | ReadIsolationReport
    | AddFinalizer
    | RemoveFinalizer
    | DeleteWorkflow
    | RequeueAt
)
