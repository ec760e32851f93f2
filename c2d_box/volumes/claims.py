"""Claims, volumes and storage classes as this package sees them, read from the API server's JSON."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

PROVISIONER = "c2d-box.io/volumes"
"""Name of this provisioner: StorageClasses ask for it, and its PersistentVolumes carry it."""
FINALIZER = "c2d-box.io/wipe"
"""Keeps a deleted claim in Kubernetes until its data is off the disk."""
PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"
"""Annotation by which Kubernetes' own controller knows that an external provisioner deletes the volume."""
SELECTED_NODE = "volume.kubernetes.io/selected-node"
"""Annotation in which the scheduler writes the node of the claim's first pod (``WaitForFirstConsumer``)."""
HOSTNAME = "kubernetes.io/hostname"

# The suffixes of Kubernetes quantities that make sense for a disk: no milli, no exponents.
UNITS = {
    "": 1,
    "k": 10**3,
    "M": 10**6,
    "G": 10**9,
    "T": 10**12,
    "Ki": 2**10,
    "Mi": 2**20,
    "Gi": 2**30,
    "Ti": 2**40,
}


@dataclass(frozen=True, slots=True)
class VolumeFolder:
    """A directory that is created in a new volume."""

    name: str
    user: int
    """Numeric, as ``group`` is: the node need not know the users of the images."""
    group: int
    mode: int


@dataclass(frozen=True, slots=True)
class StorageClass:
    """Our parameters of a StorageClass. A volume of kind ``disk`` has a size limit, a
    ``directory`` has none."""

    name: str
    kind: Literal["disk", "directory"]
    owner: VolumeFolder
    """Owner and mode of the volume's root folder."""
    folders: tuple[VolumeFolder, ...]
    waits: bool = False
    """True where a claim waits until the scheduler has chosen a node for its first pod."""


@dataclass(frozen=True, slots=True)
class VolumeClaim:
    """A PersistentVolumeClaim; ``size`` in bytes."""

    namespace: str
    name: str
    uid: str
    version: str
    """The resourceVersion that the plan saw; it guards the removal of the finalizer."""
    storage_class: str
    size: int
    volume: str
    """Name of the PersistentVolume it refers to, empty before it is bound."""
    bound: bool
    deleting: bool
    finalizers: tuple[str, ...]
    selected_node: str
    """The node that the scheduler chose, empty where none was chosen."""
    access_modes: tuple[str, ...]

    @property
    def volume_name(self) -> str:
        """The name of the PersistentVolume that is made for this claim."""
        # By UID, as other provisioners name theirs: a claim made anew under its old name gets a new volume.
        return f"pvc-{self.uid}"

    @property
    def is_protected(self) -> bool:
        """True while our finalizer keeps the claim from vanishing."""
        return FINALIZER in self.finalizers

    @property
    def is_released(self) -> bool:
        """True where only our finalizer holds the deleted claim: no pod uses it any more."""
        # Kubernetes takes its own finalizer (pvc-protection) off when the last pod
        # that uses the claim has ended.
        return self.deleting and set(self.finalizers) <= {FINALIZER}


@dataclass(frozen=True, slots=True)
class PersistentVolume:
    """A PersistentVolume of ours."""

    name: str
    claim_uid: str
    """UID of the claim it was made for, which may be gone."""
    node: str
    deleting: bool
    followed: bool = True
    """False where its claim is in a namespace that is not watched: that no claim is seen means nothing then.
    """


def size_of(quantity: str) -> int:
    """Return the bytes of a Kubernetes quantity such as ``512Mi`` (rounded up to whole bytes)."""
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)(|k|M|G|T|Ki|Mi|Gi|Ti)", quantity)
    if not match:
        raise ValueError(f"not a size: {quantity!r}")
    # Decimal, not float: a size above 2**53 bytes or a fraction such as 0.1Gi must come out exactly.
    exact = Decimal(match[1]) * UNITS[match[2]]
    return int(exact.to_integral_value(rounding="ROUND_CEILING"))


def parse_folder(text: str) -> VolumeFolder:
    """Parse ``name:user:group:mode`` (mode in octal)."""
    name, user, group, mode = text.split(":")
    # The name comes from the StorageClass and becomes a path on the node: it must not lead out of the volume.
    if name in ("", ".", "..") or "/" in name:
        raise ValueError(f"not a folder name: {name!r}")
    return VolumeFolder(name, int(user), int(group), int(mode, 8))


def parse_claim(item: Mapping[str, Any]) -> VolumeClaim:
    """Parse a claim. Raises ValueError for a size that is none; the informer logs that and goes on."""
    meta, spec = item["metadata"], item["spec"]
    annotations = meta.get("annotations") or {}
    return VolumeClaim(
        namespace=meta["namespace"],
        name=meta["name"],
        uid=meta["uid"],
        version=meta["resourceVersion"],
        # A missing size counts as 0, which is refused as too small when the volume is made.
        storage_class=spec.get("storageClassName") or "",
        size=size_of(spec.get("resources", {}).get("requests", {}).get("storage", "0")),
        volume=spec.get("volumeName") or "",
        bound=item.get("status", {}).get("phase") == "Bound",
        deleting="deletionTimestamp" in meta,
        finalizers=tuple(meta.get("finalizers") or ()),
        selected_node=annotations.get(SELECTED_NODE, ""),
        access_modes=tuple(spec.get("accessModes") or ("ReadWriteOnce",)),
    )


def parse_volume(item: Mapping[str, Any], namespaces: Collection[str]) -> PersistentVolume | None:
    """Parse a volume; None where it is not one of ours. ``namespaces`` are those whose claims are watched."""
    meta, spec = item["metadata"], item["spec"]
    if (meta.get("annotations") or {}).get(PROVISIONED_BY) != PROVISIONER:
        return None
    # Read back from where volume_manifest wrote it: a local volume's node stands nowhere else.
    terms = spec["nodeAffinity"]["required"]["nodeSelectorTerms"]
    return PersistentVolume(
        name=meta["name"],
        claim_uid=spec["claimRef"]["uid"],
        node=terms[0]["matchExpressions"][0]["values"][0],
        deleting="deletionTimestamp" in meta,
        followed=spec["claimRef"]["namespace"] in namespaces,
    )


def parse_storage_class(item: Mapping[str, Any]) -> StorageClass | None:
    """Parse a class; None where another provisioner serves it."""
    if item["provisioner"] != PROVISIONER:
        return None
    parameters = item.get("parameters") or {}
    # A class without parameters gives root a disk without folders.
    user, group, mode = parameters.get("owner", "0:0:0755").split(":")
    folders = tuple(parse_folder(part) for part in parameters.get("folders", "").split(",") if part)
    kind: Literal["disk", "directory"] = "directory" if parameters.get("kind") == "directory" else "disk"
    return StorageClass(
        item["metadata"]["name"],
        kind,
        VolumeFolder("volume", int(user), int(group), int(mode, 8)),
        folders,
        item.get("volumeBindingMode") == "WaitForFirstConsumer",
    )


def volume_manifest(made_for: VolumeClaim, path: str, node: str) -> dict[str, Any]:
    """Build the PersistentVolume for a claim. The UID in its reference makes Kubernetes bind it at once."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": made_for.volume_name, "annotations": {PROVISIONED_BY: PROVISIONER}},
        "spec": {
            "accessModes": list(made_for.access_modes),
            "capacity": {"storage": str(made_for.size)},
            "claimRef": {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "namespace": made_for.namespace,
                "name": made_for.name,
                "uid": made_for.uid,
            },
            "local": {"path": path},
            # Required for local volumes; it also binds the pods that use the claim to this node.
            "nodeAffinity": {
                "required": {
                    "nodeSelectorTerms": [
                        {"matchExpressions": [{"key": HOSTNAME, "operator": "In", "values": [node]}]}
                    ]
                }
            },
            # The data is erased before the claim goes, so there is never anything to retain.
            "persistentVolumeReclaimPolicy": "Delete",
            "storageClassName": made_for.storage_class,
            "volumeMode": "Filesystem",
        },
    }
