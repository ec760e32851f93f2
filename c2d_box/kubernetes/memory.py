"""The Cluster port in memory: the adapter that tests of the services run on.

It follows the rules that those rely on (versions, merge and JSON patches, the status subresource,
finalizers, uids, graceful deletion) and passes the same contract suite as the real one. Deleted pods and
claims stay, marked as deleted, until :meth:`vanish` stands in for the kubelet or the provisioner.
"""

from __future__ import annotations

import asyncio
import copy
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from typing import Any

from c2d_box import timestamps
from c2d_box.kubernetes.port import (
    CLAIMS,
    PODS,
    AlreadyExists,
    ClusterError,
    Object,
    ObjectGone,
    ResourceKind,
    VersionConflict,
    WatchEvent,
)

_LINGERING = frozenset({PODS.plural, CLAIMS.plural})
"""Kinds that stay after a delete call: Kubernetes removes a pod when the kubelet confirms its end, and a
claim when no pod uses it and its finalizers are gone.
"""


class MemoryCluster:
    """One namespace in memory, with switches for tests: recorded calls, failing writes, pod logs."""

    def __init__(self) -> None:
        self._objects: dict[tuple[str, str], Object] = {}
        # One counter for all kinds, as etcd's revision: versions of two objects can be compared.
        self._version = 0
        # Every change ever made, by kind and version, so that a watch can begin at any version.
        self._history: list[tuple[str, int, WatchEvent]] = []
        self._news = asyncio.Condition()
        self.pod_logs: dict[tuple[str, str], bytes] = {}
        self.calls: list[tuple[str, str, str]] = []
        """Every write: verb, plural, name."""
        self.fail_next: list[ClusterError] = []
        """Errors that the next writes raise, in turn."""

    async def get(self, resource: ResourceKind, name: str) -> Object | None:
        found = self._objects.get((resource.plural, name))
        # Copies everywhere: a test that changed an object in place would hide a missing write.
        return copy.deepcopy(found)

    async def list(self, resource: ResourceKind, selector: str = "") -> tuple[list[Object], str]:
        found = [
            copy.deepcopy(body)
            for (plural, _), body in self._objects.items()
            if plural == resource.plural and _selected(body, selector)
        ]
        return found, str(self._version)

    async def has_several(self, resource: ResourceKind) -> bool:
        return len(self.names(resource)) > 1

    async def watch(
        self, resource: ResourceKind, version: str, selector: str = ""
    ) -> AsyncIterator[WatchEvent]:
        at = int(version)
        while True:
            # A snapshot, since the consumer of a yielded event may write and so extend the history.
            for plural, number, change in list(self._history):
                if number > at and plural == resource.plural and _selected(change.object, selector):
                    at = number
                    yield WatchEvent(change.kind, copy.deepcopy(change.object))
            async with self._news:
                # Checked again under the lock: a change since the loop would otherwise be slept through.
                if self._version <= at or not any(
                    n > at for p, n, _ in self._history if p == resource.plural
                ):
                    await self._news.wait()

    async def create(self, resource: ResourceKind, body: Object) -> Object:
        name = body["metadata"]["name"]
        await self._called("create", resource, name)
        if (resource.plural, name) in self._objects:
            raise AlreadyExists(f"{resource.plural} {name} already exists", 409)
        made = copy.deepcopy(body)
        # A given uid is kept, so that tests can name their objects.
        made["metadata"].setdefault("uid", str(uuid.uuid4()))
        made["metadata"]["creationTimestamp"] = _stamp(time.time())
        # With a status subresource the API server drops the status of a created object.
        made.pop("status", None)
        return await self._keep(resource, made, "ADDED")

    async def patch(
        self, resource: ResourceKind, name: str, patch: Object, *, status: bool = False
    ) -> Object:
        known = await self._known_object("patch", resource, name)
        has, wanted = known["metadata"], patch.get("metadata") or {}
        if wanted.get("resourceVersion") not in (None, has["resourceVersion"]):
            raise VersionConflict(f"{resource.plural} {name} has been modified", 409)
        if wanted.get("uid") not in (None, has["uid"]):
            raise ClusterError(f"{resource.plural} {name}: the uid cannot be changed", 422)
        # Each of the two endpoints ignores the part that belongs to the other one, as the API server does.
        if status:
            patch = {"status": patch.get("status", {})}
        else:
            patch = {key: value for key, value in patch.items() if key != "status"}
        return await self._replace_object(resource, known, _merge(known, patch))

    async def patch_json(self, resource: ResourceKind, name: str, steps: Sequence[Object]) -> Object:
        known = await self._known_object("patch", resource, name)
        return await self._replace_object(resource, known, _apply_json_patch(known, steps))

    async def _replace_object(self, resource: ResourceKind, known: Object, merged: Object) -> Object:
        # A patch without effect makes no version and no event, as in Kubernetes.
        if merged == known:
            return copy.deepcopy(known)
        metadata = merged["metadata"]
        # Removing the last finalizer of an object that is marked as deleted removes the object.
        if "deletionTimestamp" in metadata and not metadata.get("finalizers"):
            await self._drop(resource, merged)
            return merged
        return await self._keep(resource, merged, "MODIFIED")

    async def delete(
        self, resource: ResourceKind, name: str, *, grace: int | None = None, uid: str | None = None
    ) -> bool:
        await self._called("delete", resource, name)
        known = self._objects.get((resource.plural, name))
        if known is None or (uid is not None and known["metadata"]["uid"] != uid):
            return False
        # A grace period of 0 is a forced deletion: the API server does not wait for the kubelet.
        lingers = resource.plural in _LINGERING and not (resource is PODS and grace == 0)
        if not lingers and not known["metadata"].get("finalizers"):
            await self._drop(resource, known)
            return True
        if "deletionTimestamp" not in known["metadata"]:
            marked = copy.deepcopy(known)
            # The timestamp is that of the pod's end, the grace period included; the engine counts from it.
            marked["metadata"]["deletionTimestamp"] = _stamp(time.time() + (grace or 0))
            await self._keep(resource, marked, "MODIFIED")
        return True

    async def logs(self, pod: str, container: str, *, follow: bool = False) -> AsyncIterator[bytes]:
        if (PODS.plural, pod) not in self._objects:
            raise ObjectGone(f"pods {pod} not found", 404)
        if (pod, container) not in self.pod_logs:
            # The kubelet answers 400 while a container waits to start; callers tell that from a missing pod.
            raise ClusterError(f"container {container} is waiting to start", 400)
        yield self.pod_logs[pod, container]

    # -- the parts of the kubelet and the provisioner, for tests

    async def set_status(self, resource: ResourceKind, name: str, status: Object) -> Object:
        """Replace the status, as a controller of Kubernetes would."""
        known = copy.deepcopy(self._objects[resource.plural, name])
        known["status"] = status
        return await self._keep(resource, known, "MODIFIED")

    async def vanish(self, resource: ResourceKind, name: str) -> None:
        """Remove the object at once, whether or not it was marked as deleted."""
        known = self._objects.get((resource.plural, name))
        if known is not None:
            await self._drop(resource, known)

    def names(self, resource: ResourceKind) -> tuple[str, ...]:
        """Return the names of all objects of a kind, the ones marked as deleted included."""
        return tuple(name for plural, name in self._objects if plural == resource.plural)

    # -- inside

    async def _known_object(self, verb: str, resource: ResourceKind, name: str) -> Object:
        await self._called(verb, resource, name)
        known = self._objects.get((resource.plural, name))
        if known is None:
            raise ObjectGone(f"{resource.plural} {name} not found", 404)
        return known

    async def _called(self, verb: str, resource: ResourceKind, name: str) -> None:
        # Yield once, as a real call does: code that needs atomicity across a call must fail here too.
        await asyncio.sleep(0)
        # Recorded before it fails: a failed attempt counts as a call.
        self.calls.append((verb, resource.plural, name))
        if self.fail_next:
            raise self.fail_next.pop(0)

    async def _keep(self, resource: ResourceKind, body: Object, kind: Any) -> Object:
        self._version += 1
        body["metadata"]["resourceVersion"] = str(self._version)
        self._objects[resource.plural, body["metadata"]["name"]] = body
        await self._tell(resource, kind, body)
        return copy.deepcopy(body)

    async def _drop(self, resource: ResourceKind, body: Object) -> None:
        self._objects.pop((resource.plural, body["metadata"]["name"]), None)
        # A deletion has a version of its own, which the last state of the object carries in the event.
        self._version += 1
        last = copy.deepcopy(body)
        last["metadata"]["resourceVersion"] = str(self._version)
        await self._tell(resource, "DELETED", last)

    async def _tell(self, resource: ResourceKind, kind: Any, body: Object) -> None:
        self._history.append((resource.plural, self._version, WatchEvent(kind, copy.deepcopy(body))))
        async with self._news:
            self._news.notify_all()


def _merge(into: Object, patch: Object) -> Object:
    """Apply a JSON merge patch (RFC 7386)."""
    merged = copy.deepcopy(into)
    for key, value in patch.items():
        # Null removes the key; a value of another type replaces what was there, lists included.
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict):
            old = merged.get(key)
            merged[key] = _merge(old if isinstance(old, dict) else {}, value)
        else:
            merged[key] = copy.deepcopy(value)
    return merged


def _apply_json_patch(body: Object, steps: Sequence[Object]) -> Object:
    """Apply a JSON patch (RFC 6902) of the operations ``test``, ``add`` and ``remove``."""
    made = copy.deepcopy(body)
    for step in steps:
        # JSON pointers (RFC 6901) write a slash as ~1 and a tilde as ~0, to be decoded in this order.
        *parents, last = [part.replace("~1", "/").replace("~0", "~") for part in step["path"].split("/")[1:]]
        target: Any = made
        try:
            for part in parents:
                target = target[part]
            if isinstance(target, list) and step["op"] == "add" and last == "-":
                target.append(step["value"])
            elif step["op"] == "add":
                target[last] = step["value"]
            elif step["op"] == "remove":
                del target[last]
            # The only operation left is `test`.
            elif target[last] != step["value"]:
                raise KeyError(last)
        except KeyError as error:
            raise ClusterError(f"the step {step['op']} {step['path']} failed", 422) from error
    return made


def _selected(body: Object, selector: str) -> bool:
    """Return whether the labels match; of the selectors' syntax ``key`` and ``key=value`` are known, joined
    by commas.
    """
    labels = body["metadata"].get("labels") or {}
    for term in filter(None, selector.split(",")):
        key, equals, value = term.partition("=")
        if key not in labels or (equals and labels[key] != value):
            return False
    return True


def _stamp(seconds: float) -> str:
    """Return the moment as Kubernetes writes it in metadata: whole seconds in UTC."""
    return timestamps.rfc3339_text(seconds).partition(".")[0] + "Z"
