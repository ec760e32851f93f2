"""The port to one namespace of Kubernetes: what operator-service and engine need of it, and no more.

Objects are the API's own JSON. Every write is safe to repeat: creating what exists and deleting what is
gone are told apart from failures, and an update can name the version it was decided on.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from c2d_box.errors import Failed

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ResourceKind:
    """A kind of object, by its place in the API's paths."""

    prefix: str
    plural: str


PODS = ResourceKind("/api/v1", "pods")
CLAIMS = ResourceKind("/api/v1", "persistentvolumeclaims")
SECRETS = ResourceKind("/api/v1", "secrets")
CONFIG_MAPS = ResourceKind("/api/v1", "configmaps")
EVENTS = ResourceKind("/api/v1", "events")
LEASES = ResourceKind("/apis/coordination.k8s.io/v1", "leases")


class ClusterError(Failed):
    """Kubernetes refused or did not answer."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(
            "C2D-CLUSTER-CALL", message, "Look at the API server with `kubectl get --raw /readyz?verbose`."
        )
        self.status = status


class AlreadyExists(ClusterError):
    """There is an object of this name already."""


class VersionConflict(ClusterError):
    """The object is not any more what the update was decided on."""


class ObjectGone(ClusterError):
    """There is no such object; or, for a watch, the version is too old to continue from."""


@dataclass(frozen=True, slots=True)
class WatchEvent:
    kind: Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK"]
    object: Object


class Cluster(Protocol):
    async def get(self, resource: ResourceKind, name: str) -> Object | None: ...

    async def list(self, resource: ResourceKind, selector: str = "") -> tuple[list[Object], str]:
        """All objects with the labels of ``selector``, and the version to watch from."""
        ...

    def watch(self, resource: ResourceKind, version: str, selector: str = "") -> AsyncIterator[WatchEvent]:
        """Changes after ``version``; ends when the server ends it; raises Gone for a version too old."""
        ...

    async def create(self, resource: ResourceKind, body: Object) -> Object:
        """Raises Exists."""
        ...

    async def patch(
        self, resource: ResourceKind, name: str, patch: Object, *, status: bool = False
    ) -> Object:
        """A merge patch; with ``metadata.resourceVersion`` in it only on that version (raises Changed).

        ``status`` addresses the status subresource. Raises Gone.
        """
        ...

    async def delete(
        self, resource: ResourceKind, name: str, *, grace: int | None = None, uid: str | None = None
    ) -> bool:
        """False when it was gone already (or, with ``uid``, is another object by now)."""
        ...

    def logs(self, pod: str, container: str, *, follow: bool = False) -> AsyncIterator[bytes]:
        """The container's output so far, and with ``follow`` until it ends. Raises Gone without a pod."""
        ...
