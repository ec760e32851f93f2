"""What a plan can ask for. All actions of one plan may run at once and in any order, and any of them
twice: an order that matters is expressed through the status, by recording the first step and planning
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
    """The stages' tokens and the result store's credentials."""


@dataclass(frozen=True, slots=True)
class CreatePod:
    component: Component
    attempt: int = 1


@dataclass(frozen=True, slots=True)
class DeletePod:
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
    """Take what the warden said on its own output into the status: evidence, and the moment of the start."""


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
    """Look again at this moment (Unix seconds), even if nothing has happened."""

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
