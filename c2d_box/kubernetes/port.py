"""The port to one namespace of Kubernetes: only the calls that the services need.

Objects are the API's own JSON. Every write is safe to repeat: creating an existing object and deleting a
missing one are told apart from failures, and an update can name the version it was decided on.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from c2d_box.errors import Failed

Object = dict[str, Any]
"""An object as the API server sends it: ``apiVersion``, ``kind``, ``metadata``, ``spec``, ``status``."""


@dataclass(frozen=True, slots=True)
class ResourceKind:
    """A kind of object, given by the two parts of its API path."""

    prefix: str
    """``/api/v1`` for the core group, else ``/apis/<group>/<version>``."""
    plural: str
    """Lower-case plural, as it stands in the path."""
    namespaced: bool = True
    """False where the objects belong to the cluster as a whole."""


PODS = ResourceKind("/api/v1", "pods")
CLAIMS = ResourceKind("/api/v1", "persistentvolumeclaims")
SECRETS = ResourceKind("/api/v1", "secrets")
CONFIG_MAPS = ResourceKind("/api/v1", "configmaps")
EVENTS = ResourceKind("/api/v1", "events")
LEASES = ResourceKind("/apis/coordination.k8s.io/v1", "leases")
NODES = ResourceKind("/api/v1", "nodes", namespaced=False)
VOLUMES = ResourceKind("/api/v1", "persistentvolumes", namespaced=False)
STORAGE_CLASSES = ResourceKind("/apis/storage.k8s.io/v1", "storageclasses", namespaced=False)


class ClusterError(Failed):
    """Kubernetes refused or did not answer."""

    def __init__(self, message: str, status: int = 0) -> None:
        # One code for all failed calls: callers go by the status, and the advice for people is the same.
        super().__init__(
            "C2D-CLUSTER-CALL", message, "Look at the API server with `kubectl get --raw /readyz?verbose`."
        )
        self.status = status
        """HTTP status of the refusal; 0 where no answer came."""


class AlreadyExists(ClusterError):
    """A create call found an object of this name already."""


class VersionConflict(ClusterError):
    """The object is in another version than the update names (409 Conflict)."""


class ObjectGone(ClusterError):
    """There is no such object; or, for a watch, the version is too old to continue from."""


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """One change of an object; a BOOKMARK carries only the version to resume from."""

    kind: Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK"]
    object: Object


class Cluster(Protocol):
    """One namespace, and the objects that belong to none. Every call raises ClusterError where Kubernetes
    refuses or does not answer.
    """

    async def get(self, resource: ResourceKind, name: str) -> Object | None:
        """Return the object, None where there is none."""
        ...

    async def list(self, resource: ResourceKind, selector: str = "") -> tuple[list[Object], str]:
        """Return all objects with the labels of ``selector``, and the version to watch from."""
        ...

    async def has_several(self, resource: ResourceKind) -> bool:
        """Return whether there are two objects or more; no more than two are read."""
        ...

    def watch(self, resource: ResourceKind, version: str, selector: str = "") -> AsyncIterator[WatchEvent]:
        """Yield changes after ``version`` until the server ends it; raises ObjectGone for a
        version too old."""
        ...

    async def create(self, resource: ResourceKind, body: Object) -> Object:
        """Create the object and return it as stored. Raises AlreadyExists."""
        ...

    async def patch(
        self, resource: ResourceKind, name: str, patch: Object, *, status: bool = False
    ) -> Object:
        """Apply a merge patch; with ``metadata.resourceVersion`` in it only to that version, else it raises
        VersionConflict.

        ``status`` addresses the status subresource. Raises ObjectGone.
        """
        ...

    async def patch_json(self, resource: ResourceKind, name: str, steps: Sequence[Object]) -> Object:
        """Apply a JSON patch (RFC 6902); where a ``test`` in it fails, it raises ClusterError with status
        422. Raises ObjectGone.
        """
        ...

    async def delete(
        self, resource: ResourceKind, name: str, *, grace: int | None = None, uid: str | None = None
    ) -> bool:
        """Delete; return False when it was gone already (or, with ``uid``, is another object by now)."""
        ...

    def logs(self, pod: str, container: str, *, follow: bool = False) -> AsyncIterator[bytes]:
        """Yield the container's output so far, with ``follow`` until it ends. Raises ObjectGone without a
        pod.
        """
        ...
