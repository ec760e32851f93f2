"""What to do next for one volume, as a pure function of what there is.

Every rule of the provisioner stands here, and none of them remembers anything: after a crash at any point the
same question is asked again and the answer continues where the work stopped. Actions are idempotent, one at a
time.

The life of a volume: make the file system and protect the claim → publish the PersistentVolume → (bound,
used) → the claim is deleted and no pod uses it → erase → unprotect the claim → retire the PersistentVolume.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Literal

from c2d_box.volumes.claims import Claim, StorageClass, Volume


class Action(Enum):
    """One idempotent step."""

    PROTECT = "protect"
    MAKE = "make"
    PUBLISH = "publish"
    MOUNT = "mount"
    ERASE = "erase"
    UNPROTECT = "unprotect"
    RETIRE = "retire"
    REPORT_LOST = "report lost"


@dataclass(frozen=True, slots=True)
class Stored:
    """What this node's disk holds under a volume's name. ``ready``: whole, and mounted if it must be."""

    kind: Literal["disk", "directory"]
    ready: bool


@dataclass(frozen=True, slots=True)
class Situation:
    """All that is known about one volume, on the node that asks."""

    node: str
    claim: Claim | None
    storage_class: StorageClass | None
    volume: Volume | None
    stored: Stored | None


def plan(now: Situation) -> Action | None:
    """The next action, or None where nothing is to be done (by this node)."""
    if now.claim is None:
        return _without_claim(now)
    if now.volume and now.volume.node != now.node:
        return Action.ERASE if now.stored else None
    if now.claim.deleting:
        return _leaving(now, now.claim)
    if now.volume:
        return _serving(now)
    return _arriving(now, now.claim)


def _arriving(now: Situation, claim: Claim) -> Action | None:
    if now.storage_class is None or claim.volume:
        return None
    if claim.selected_node != now.node and (claim.selected_node or now.storage_class.waits):
        return None
    ready = now.stored is not None and now.stored.ready
    if not ready and (claim.protected or now.storage_class.kind == "disk"):
        return Action.MAKE  # a disk is protected while it is being made: an orphaned one is erased anyway
    return Action.PUBLISH if ready and claim.protected else Action.PROTECT


def _serving(now: Situation) -> Action | None:
    if now.stored is None:
        return Action.REPORT_LOST
    return None if now.stored.ready else Action.MOUNT


def _leaving(now: Situation, claim: Claim) -> Action | None:
    if not claim.released:  # its pods still run, or start again after a reboot
        return Action.MOUNT if now.volume and now.stored and not now.stored.ready else None
    if now.stored:
        return Action.ERASE
    return Action.UNPROTECT if claim.protected else None


def _without_claim(now: Situation) -> Action | None:
    """Leftovers. A job's disk is erased; a service's directory without a trace in Kubernetes is not ours to
    judge.
    """
    if now.stored and (now.stored.kind == "disk" or (now.volume and now.volume.node == now.node)):
        return Action.ERASE
    if now.volume and now.volume.node == now.node and not now.volume.deleting:
        return Action.RETIRE
    return None
