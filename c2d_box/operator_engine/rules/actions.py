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
    pass


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
    pass


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
    pass


@dataclass(frozen=True, slots=True)
class RemoveFinalizer:
    pass


@dataclass(frozen=True, slots=True)
class DeleteWorkflow:
    pass


@dataclass(frozen=True, slots=True)
class RequeueAt:
    """Reconcile again at this moment (Unix seconds), even if nothing has changed."""

    at: float


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
