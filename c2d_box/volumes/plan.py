"""The plan: the next action for one volume, as a pure function of the present situation.

Every rule of the provisioner is here, and none of them keeps state: after a crash at any point the plan is
computed again and continues where the work stopped. Actions are idempotent, one at a
time.

The life of a volume: make the file system → publish the PersistentVolume → (bound) protect the claim →
(used) → the claim is deleted and no pod uses it → erase → unprotect the claim → retire the PersistentVolume.
The claim is protected only once it is bound: a write to it meanwhile would make the volume controller's own
fail, which it repeats after many seconds. Who deletes a claim before that finds it gone a moment before its
data.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Literal

from c2d_box.volumes.claims import PersistentVolume, StorageClass, VolumeClaim


class VolumeAction(Enum):
    """One idempotent step of the controller."""

    PROTECT = "protect"
    """Add our finalizer to the claim."""
    MAKE = "make"
    """Make the volume on this node's disk."""
    PUBLISH = "publish"
    """Create the PersistentVolume, by which the claim is bound."""
    MOUNT = "mount"
    """Mount what is on the disk, after a reboot."""
    ERASE = "erase"
    """Overwrite and remove what is on the disk."""
    UNPROTECT = "unprotect"
    """Remove our finalizer: the claim vanishes."""
    RETIRE = "retire"
    """Delete the PersistentVolume of a claim that is gone."""
    REPORT_LOST = "report lost"
    """Say that the data of a published volume is not here. It is never made up by an empty volume."""
    REPORT_UNPLACED = "report unplaced"
    """Say that nobody chooses a node for the claim."""


@dataclass(frozen=True, slots=True)
class StoredVolume:
    """The state of a volume on this node's disk. ``ready``: whole, and mounted if it must be; ``empty``: a
    directory that nobody ever wrote to.
    """

    kind: Literal["disk", "directory"]
    ready: bool
    empty: bool = False


@dataclass(frozen=True, slots=True)
class VolumeSituation:
    """Everything known about one volume, on the node that plans."""

    node: str
    claim: VolumeClaim | None
    storage_class: StorageClass | None
    volume: PersistentVolume | None
    stored: StoredVolume | None
    is_only_node: bool = True
    """Asked of the cluster only where :func:`is_unplaced` says that the answer matters."""


def is_unplaced(claim: VolumeClaim, storage_class: StorageClass) -> bool:
    """Return whether no scheduler chooses the node of this claim's volume (``volumeBindingMode: Immediate``).

    Every node's provisioner sees such a claim. On several nodes each would take the volume's whole size, and
    the one that is published first would stand where the job's nodeSelector may not lead: nobody makes it.
    """
    return not (claim.volume or claim.selected_node or storage_class.waits)


def plan_action(now: VolumeSituation) -> VolumeAction | None:
    """Return the next action, or None where nothing is to be done (by this node)."""
    if now.claim is None:
        return _plan_leftover(now)
    # Another node's volume was published for this claim: what this node has made for it is not needed.
    if now.volume and now.volume.node != now.node:
        return VolumeAction.ERASE if now.stored else None
    if now.claim.deleting:
        return _plan_leaving(now, now.claim)
    if now.volume:
        return _plan_serving(now, now.claim)
    return _plan_arriving(now, now.claim)


def _plan_arriving(now: VolumeSituation, claim: VolumeClaim) -> VolumeAction | None:
    """Plan for a claim without a PersistentVolume: make one, if it is this node's turn."""
    # Of another provisioner, or its class is gone; or somebody has bound it to a volume by hand.
    if now.storage_class is None or claim.volume:
        return None
    if is_unplaced(claim, now.storage_class):
        if not now.is_only_node:
            return VolumeAction.REPORT_UNPLACED
    # Another node's turn, or the scheduler has not chosen yet.
    elif claim.selected_node != now.node:
        return None
    # What is there and not whole was interrupted; MAKE begins by erasing it.
    return VolumeAction.PUBLISH if now.stored and now.stored.ready else VolumeAction.MAKE


def _plan_serving(now: VolumeSituation, claim: VolumeClaim) -> VolumeAction | None:
    """Plan for a claim whose volume is published on this node."""
    if now.stored is None:
        return VolumeAction.REPORT_LOST
    if not now.stored.ready:
        return VolumeAction.MOUNT
    return VolumeAction.PROTECT if claim.bound and not claim.is_protected else None


def _plan_leaving(now: VolumeSituation, claim: VolumeClaim) -> VolumeAction | None:
    """Plan for a deleted claim: erase when nobody uses it, and only then let it go."""
    if not claim.is_released:  # its pods still run, or start again after a reboot
        return VolumeAction.MOUNT if now.volume and now.stored and not now.stored.ready else None
    # Erased before the claim is let go: "the claim is gone" must mean "the data is off the disk".
    if now.stored:
        return VolumeAction.ERASE
    return VolumeAction.UNPROTECT if claim.is_protected else None


def _plan_leftover(now: VolumeSituation) -> VolumeAction | None:
    """Plan for a volume without a claim. A job's disk is erased; a service's directory that holds data but
    has no volume in Kubernetes is left alone.
    """
    # Only what holds no data of a service: a job's disk is worth nothing without its claim.
    if now.volume is None:
        return VolumeAction.ERASE if now.stored and (now.stored.kind == "disk" or now.stored.empty) else None
    # A claim in a namespace that is not watched may well exist.
    if now.volume.node != now.node or not now.volume.followed:
        return None
    if now.stored:
        return VolumeAction.ERASE
    return None if now.volume.deleting else VolumeAction.RETIRE
