"""Claims and volumes of the cluster, kept current by watches, and the writes that the controller needs."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Protocol

from c2d_box.retry import Backoff
from c2d_box.service.json_logging import loggable
from c2d_box.volumes import claims
from c2d_box.volumes.api import Api, ApiError, Expired
from c2d_box.volumes.claims import Claim, StorageClass, Volume

log = logging.getLogger("c2d.volumes")
CLASSES = "/apis/storage.k8s.io/v1/storageclasses"
VOLUMES = "/api/v1/persistentvolumes"
NODES = "/api/v1/nodes"
KEPT_SECONDS = 60.0
"""Seconds for which the number of nodes is used again. The provisioner of a node that is added asks anew."""


class Cluster(Protocol):
    """The port of the controller: the objects it reads, one question, and six writes."""

    claims: dict[str, Claim]
    """Claims by the name of the volume that each is to get."""
    volumes: dict[str, Volume]
    classes: dict[str, StorageClass]

    async def is_only_node(self) -> bool: ...
    async def protect(self, claim: Claim) -> None: ...
    async def unprotect(self, claim: Claim) -> None: ...
    async def give_back(self, claim: Claim) -> None: ...
    async def publish(self, claim: Claim, path: str, node: str) -> None: ...
    async def retire(self, volume: Volume) -> None: ...
    async def tell(self, claim: Claim, reason: str, message: str) -> None: ...


class WatchedCluster:
    """The adapter to a real API server. ``changed`` is called with the name of each volume that something
    changed for.
    """

    def __init__(self, api: Api, namespaces: tuple[str, ...], changed: Callable[[str], None]) -> None:
        self._api, self._namespaces, self._changed = api, namespaces, changed
        self.claims: dict[str, Claim] = {}
        self.volumes: dict[str, Volume] = {}
        self.classes: dict[str, StorageClass] = {}
        self._feeds = {
            CLASSES: self._class_seen,
            VOLUMES: self._volume_seen,
            **{f"/api/v1/namespaces/{n}/persistentvolumeclaims": self._claim_seen for n in namespaces},
        }
        self._synced: set[str] = set()
        self.current = asyncio.Event()
        """Set once everything has been listed: before that, nothing may be concluded from an absence."""
        self._only_node, self._asked = False, -KEPT_SECONDS

    async def follow(self) -> None:
        """Keep everything current until cancelled."""
        async with asyncio.TaskGroup() as group:
            for path, seen in self._feeds.items():
                group.create_task(self._follow(path, seen))

    async def _follow(self, path: str, seen: Callable[[str, dict[str, Any]], str]) -> None:
        known: dict[str, dict[str, Any]] = {}
        backoff, version = Backoff(0.1, 5.0), ""
        while True:
            try:
                if not version:
                    items, version = await self._api.list(path)
                    listed = {item["metadata"]["uid"]: item for item in items}
                    changes = [("DELETED", known[uid]) for uid in known.keys() - listed.keys()]
                    changes += [("ADDED", item) for item in listed.values()]
                    known = listed
                    names = {seen(kind, item) for kind, item in changes}
                    self._sync(path, names)
                backoff.reset()
                async for kind, item in self._api.watch(path, version):
                    version = item["metadata"]["resourceVersion"]
                    if kind != "BOOKMARK":
                        known[item["metadata"]["uid"]] = item
                        if kind == "DELETED":
                            del known[item["metadata"]["uid"]]
                        self._changed(seen(kind, item))
            except Expired:
                version = ""
            except ApiError as problem:
                log.warning("watch interrupted", extra={"path": path, "problem": loggable(problem)})
                if problem.status:
                    version = ""
                await asyncio.sleep(backoff.next_pause())

    def _sync(self, path: str, names: set[str]) -> None:
        self._synced.add(path)
        if len(self._synced) == len(self._feeds) and not self.current.is_set():
            self.current.set()
            names = names | self.claims.keys() | self.volumes.keys()
        for name in names:
            self._changed(name)

    def _class_seen(self, kind: str, item: dict[str, Any]) -> str:
        name = item["metadata"]["name"]
        found = claims.storage_class(item)
        if kind == "DELETED" or found is None:
            self.classes.pop(name, None)
        else:
            self.classes[name] = found
            for volume, claim in self.claims.items():
                if claim.storage_class == name:
                    self._changed(volume)
        return ""

    def _claim_seen(self, kind: str, item: dict[str, Any]) -> str:
        found = claims.claim(item)
        if kind == "DELETED":
            self.claims.pop(found.volume_name, None)
        else:
            self.claims[found.volume_name] = found
        return found.volume_name

    def _volume_seen(self, kind: str, item: dict[str, Any]) -> str:
        found = claims.volume(item, self._namespaces)
        if found is None:
            return ""
        if kind == "DELETED":
            self.volumes.pop(found.name, None)
        else:
            self.volumes[found.name] = found
        return found.name

    async def is_only_node(self) -> bool:
        """Return whether the cluster has one node. Asked at most once a minute, since each job
        waits for it."""
        if time.monotonic() - self._asked >= KEPT_SECONDS:
            answer = await self._api.call("GET", f"{NODES}?limit=2")
            self._only_node, self._asked = len(answer["items"]) == 1, time.monotonic()
        return self._only_node

    async def protect(self, claim: Claim) -> None:
        """Append our finalizer. By position, not by version: the volume controller annotates new claims at
        the same moment, and a conflict would cost two more round trips.
        """
        patch: list[dict[str, Any]] = [
            {"op": "test", "path": "/metadata/uid", "value": claim.uid},
            {"op": "add", "path": "/metadata/finalizers/-", "value": claims.FINALIZER},
        ]
        if not claim.finalizers:
            patch[1] = {"op": "add", "path": "/metadata/finalizers", "value": [claims.FINALIZER]}
        self.claims[claim.volume_name] = claims.claim(await self._api.call("PATCH", _path(claim), patch))

    async def unprotect(self, claim: Claim) -> None:
        """Remove our finalizer, if the claim is still in the version that was planned on; else plan anew."""
        left = [finalizer for finalizer in claim.finalizers if finalizer != claims.FINALIZER]
        same = {"uid": claim.uid, "resourceVersion": claim.version}
        try:
            await self._api.call("PATCH", _path(claim), {"metadata": {**same, "finalizers": left}})
        except ApiError as problem:
            if problem.status == 409:
                self.claims[claim.volume_name] = claims.claim(await self._api.call("GET", _path(claim)))
                return
            if problem.status != 404:
                raise
        self.claims.pop(claim.volume_name, None)

    async def give_back(self, claim: Claim) -> None:
        """Take the scheduler's choice of a node off the claim, so that it chooses again, as the provisioners
        of the Kubernetes project do. Where somebody was faster, nothing is done.
        """
        pointer = f"/metadata/annotations/{claims.SELECTED_NODE.replace('/', '~1')}"
        patch = [
            {"op": "test", "path": "/metadata/uid", "value": claim.uid},
            {"op": "test", "path": pointer, "value": claim.selected_node},
            {"op": "remove", "path": pointer},
        ]
        try:
            self.claims[claim.volume_name] = claims.claim(await self._api.call("PATCH", _path(claim), patch))
        except ApiError as problem:
            if problem.status not in (404, 422):
                raise

    async def publish(self, claim: Claim, path: str, node: str) -> None:
        try:
            made = await self._api.call("POST", VOLUMES, claims.manifest(claim, path, node))
        except ApiError as problem:
            if problem.status != 409:
                raise
            made = await self._api.call("GET", f"{VOLUMES}/{claim.volume_name}")
        found = claims.volume(made, self._namespaces)
        if found:
            self.volumes[found.name] = found

    async def retire(self, volume: Volume) -> None:
        with _gone_is_fine():
            await self._api.call("DELETE", f"{VOLUMES}/{volume.name}")

    async def tell(self, claim: Claim, reason: str, message: str) -> None:
        """Write a warning event on the claim; there is one object per reason, which a repetition updates."""
        key = hashlib.sha256(f"{claim.uid}{reason}".encode()).hexdigest()[:16]
        path, now = (
            f"/api/v1/namespaces/{claim.namespace}/events",
            datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        )
        event = {
            "metadata": {"name": f"{claim.name}.{key}", "namespace": claim.namespace},
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
            await self._api.call("POST", path, event)
        except ApiError as problem:
            if problem.status == 409:
                await self._api.call(
                    "PATCH", f"{path}/{claim.name}.{key}", {"message": message, "lastTimestamp": now}
                )


def _path(claim: Claim) -> str:
    return f"/api/v1/namespaces/{claim.namespace}/persistentvolumeclaims/{claim.name}"


@contextlib.contextmanager
def _gone_is_fine() -> Any:
    try:
        yield
    except ApiError as problem:
        if problem.status != 404:
            raise
