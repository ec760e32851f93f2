"""Claims and volumes of the cluster, kept current by watches, and the writes that the controller needs."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Protocol

from c2d_box.kubernetes import port as kubernetes
from c2d_box.kubernetes.informer import Informer
from c2d_box.kubernetes.port import (
    CLAIMS,
    EVENTS,
    NODES,
    STORAGE_CLASSES,
    VOLUMES,
    AlreadyExists,
    ClusterError,
    Object,
    ObjectGone,
    ResourceKind,
    VersionConflict,
)
from c2d_box.volumes import claims
from c2d_box.volumes.claims import PersistentVolume, StorageClass, VolumeClaim

KEPT_SECONDS = 60.0
"""Seconds for which the number of nodes is used again. The provisioner of a node that is added asks anew."""


class VolumeCluster(Protocol):
    """The port of the controller: the objects it reads, one question, and six writes."""

    claims: dict[str, VolumeClaim]
    """Claims by the name of the volume that each is to get."""
    volumes: dict[str, PersistentVolume]
    classes: dict[str, StorageClass]

    async def is_only_node(self) -> bool:
        """Return whether the cluster has one node, so that a claim needs no scheduler to place it."""
        ...

    async def add_finalizer(self, claim: VolumeClaim) -> None:
        """Protect the claim: it stays in Kubernetes until its data is erased."""
        ...

    async def remove_finalizer(self, claim: VolumeClaim) -> None:
        """Let the deleted claim go, now that its data is erased."""
        ...

    async def give_back(self, claim: VolumeClaim) -> None:
        """Withdraw the choice of this node, which has no room for the claim."""
        ...

    async def create_volume(self, claim: VolumeClaim, path: str, node: str) -> None:
        """Create the PersistentVolume of ``claim``; one that exists already is taken over."""
        ...

    async def delete_volume(self, volume: PersistentVolume) -> None:
        """Delete the PersistentVolume; a missing one is no error."""
        ...

    async def write_event(self, claim: VolumeClaim, reason: str, message: str) -> None:
        """Tell the claim's user about ``reason``, a code; a repetition updates the event."""
        ...


class WatchedCluster:
    """The adapter to Kubernetes, given by namespace. ``changed`` is called with the name of each volume that
    something changed for.
    """

    def __init__(self, namespaces: Mapping[str, kubernetes.Cluster], changed: Callable[[str], None]) -> None:
        self._namespaces, self._changed = namespaces, changed
        self._cluster = next(iter(namespaces.values()))
        """Any of them reaches the objects that belong to no namespace."""
        self.claims: dict[str, VolumeClaim] = {}
        self.volumes: dict[str, PersistentVolume] = {}
        self.classes: dict[str, StorageClass] = {}
        self._classes_copy = self._make_informer(self._cluster, STORAGE_CLASSES, self._class_seen)
        self._volumes_copy = self._make_informer(self._cluster, VOLUMES, self._volume_seen)
        self._claims_copies = {
            namespace: self._make_informer(cluster, CLAIMS, self._claim_seen)
            for namespace, cluster in namespaces.items()
        }
        self._copies = (self._classes_copy, self._volumes_copy, *self._claims_copies.values())
        self.listed = asyncio.Event()
        """Set once everything has been listed: before that, nothing may be concluded from an absence."""
        self._only_node, self._asked = False, -KEPT_SECONDS

    @property
    def is_current(self) -> bool:
        """True once everything has been listed, and while all of it is still followed."""
        return all(informer.is_current for informer in self._copies)

    async def start_watches(self) -> None:
        """Begin to follow, and return once everything has been listed."""
        # All at once, then all awaited: the lists are independent of each other.
        for informer in self._copies:
            informer.start()
        for informer in self._copies:
            await informer.synced.wait()
        self.listed.set()
        # Changes up to here were not passed on (see `changed` in serving.py), so each
        # volume is reconciled once now.
        for name in self.claims.keys() | self.volumes.keys():
            self._changed(name)

    async def stop_watches(self) -> None:
        """End all watches; nothing is called afterwards."""
        for informer in self._copies:
            await informer.stop()

    def _make_informer(
        self, cluster: kubernetes.Cluster, kind: ResourceKind, seen: Callable[[Object, bool], str]
    ) -> Informer:
        """Return a copy whose changes go to ``seen``, which returns the name of the volume concerned."""
        informer = Informer(cluster, kind)
        informer.listen(lambda item, deleted: self._changed(seen(item, deleted)))
        return informer

    def _class_seen(self, item: Object, deleted: bool) -> str:
        """Take a change of a StorageClass. Its claims are reconciled: they may have waited for it."""
        name = item["metadata"]["name"]
        found = claims.parse_storage_class(item)
        if deleted or found is None:
            self.classes.pop(name, None)
        else:
            self.classes[name] = found
            for volume, claim in self.claims.items():
                if claim.storage_class == name:
                    self._changed(volume)
        # No volume of this name exists, so nothing more is reconciled.
        return ""

    def _claim_seen(self, item: Object, deleted: bool) -> str:
        """Take a change of a claim, under the name of the volume that is or will be made for it."""
        found = claims.parse_claim(item)
        if deleted:
            self.claims.pop(found.volume_name, None)
        else:
            self.claims[found.volume_name] = found
        return found.volume_name

    def _volume_seen(self, item: Object, deleted: bool) -> str:
        """Take a change of a PersistentVolume; those of other provisioners are ignored."""
        found = claims.parse_volume(item, self._namespaces)
        if found is None:
            return ""
        if deleted:
            self.volumes.pop(found.name, None)
        else:
            self.volumes[found.name] = found
        return found.name

    async def is_only_node(self) -> bool:
        """Return whether the cluster has one node. Asked at most once a minute, since each job
        waits for it."""
        if time.monotonic() - self._asked >= KEPT_SECONDS:
            self._only_node = not await self._cluster.has_several(NODES)
            self._asked = time.monotonic()
        return self._only_node

    async def add_finalizer(self, claim: VolumeClaim) -> None:
        """Append our finalizer. By position, not by version: the volume controller annotates new claims at
        the same moment, and a conflict would cost two more round trips.
        """
        steps: list[Object] = [
            # Not a new claim of the same name.
            {"op": "test", "path": "/metadata/uid", "value": claim.uid},
            {"op": "add", "path": "/metadata/finalizers/-", "value": claims.FINALIZER},
        ]
        # A JSON patch cannot append to a list that does not exist.
        if not claim.finalizers:
            steps[1] = {"op": "add", "path": "/metadata/finalizers", "value": [claims.FINALIZER]}
        await self._patch_claim(claim, steps)

    async def _patch_claim(self, claim: VolumeClaim, steps: list[Object]) -> None:
        """Patch the claim and take the answer into the copy, so that the next
        plan sees it ahead of the watch.
        """
        cluster, copy = self._namespaces[claim.namespace], self._claims_copies[claim.namespace]
        copy.put(await cluster.patch_json(CLAIMS, claim.name, steps))

    async def remove_finalizer(self, claim: VolumeClaim) -> None:
        """Remove our finalizer, if the claim is still in the version that was planned on; else plan anew."""
        cluster, copy = self._namespaces[claim.namespace], self._claims_copies[claim.namespace]
        # A merge patch replaces the whole list: without the version a finalizer
        # added meanwhile would be lost.
        left = [finalizer for finalizer in claim.finalizers if finalizer != claims.FINALIZER]
        same = {"uid": claim.uid, "resourceVersion": claim.version}
        try:
            # With its last finalizer the deleted claim is gone; the watch confirms that later.
            copy.drop_object(
                await cluster.patch(CLAIMS, claim.name, {"metadata": {**same, "finalizers": left}})
            )
        except VersionConflict:
            if found := await cluster.get(CLAIMS, claim.name):
                copy.put(found)
        except ObjectGone:
            self.claims.pop(claim.volume_name, None)

    async def give_back(self, claim: VolumeClaim) -> None:
        """Take the scheduler's choice of a node off the claim, so that it chooses again, as the provisioners
        of the Kubernetes project do. Where somebody was faster, nothing is done.
        """
        pointer = f"/metadata/annotations/{claims.SELECTED_NODE.replace('/', '~1')}"
        steps: list[Object] = [
            {"op": "test", "path": "/metadata/uid", "value": claim.uid},
            {"op": "test", "path": pointer, "value": claim.selected_node},
            {"op": "remove", "path": pointer},
        ]
        try:
            await self._patch_claim(claim, steps)
        except ClusterError as problem:
            # 404: the claim is gone. 422: a test failed, since the scheduler or
            # another provisioner has changed it.
            if problem.status not in (404, 422):
                raise

    async def create_volume(self, claim: VolumeClaim, path: str, node: str) -> None:
        """Create the PersistentVolume, or take over the one that an earlier attempt
        created before its answer got lost.
        """
        made: Object | None
        try:
            made = await self._cluster.create(VOLUMES, claims.volume_manifest(claim, path, node))
        except AlreadyExists:
            made = await self._cluster.get(VOLUMES, claim.volume_name)
        if made is not None:
            self._volumes_copy.put(made)

    async def delete_volume(self, volume: PersistentVolume) -> None:
        """Delete the PersistentVolume; the watch tells when it is gone."""
        await self._cluster.delete(VOLUMES, volume.name)

    async def write_event(self, claim: VolumeClaim, reason: str, message: str) -> None:
        """Write a warning event on the claim; there is one object per reason, which a repetition updates."""
        # The name decides what counts as a repetition: same claim, same reason.
        key = hashlib.sha256(f"{claim.uid}{reason}".encode()).hexdigest()[:16]
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        cluster, name = self._namespaces[claim.namespace], f"{claim.name}.{key}"
        event = {
            "metadata": {"name": name, "namespace": claim.namespace},
            "involvedObject": {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "namespace": claim.namespace,
                "name": claim.name,
                "uid": claim.uid,
            },
            "type": "Warning",
            "reason": reason,
            "message": message,
            "source": {"component": claims.PROVISIONER},
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }
        try:
            await cluster.create(EVENTS, event)
        except AlreadyExists:
            # Two patches: the provisioner may not read events, but a patch is answered with the object.
            seen = await cluster.patch(EVENTS, name, {"message": message, "lastTimestamp": now})
            await cluster.patch(EVENTS, name, {"count": int(seen.get("count") or 1) + 1})
