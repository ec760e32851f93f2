"""A local copy of one kind of objects, kept by list and watch, so that reading costs no call."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator

from c2d_box.kubernetes.list_watch import ListWatch
from c2d_box.kubernetes.port import Cluster, Object, ResourceKind

log = logging.getLogger(__name__)

Listener = Callable[[Object, bool], None]
"""A function that is called with an object and whether it has been deleted."""


class Informer:
    """Keeps the copy of one resource in one namespace; listeners are called with each change."""

    def __init__(
        self,
        cluster: Cluster,
        resource: ResourceKind,
        selector: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.list_watch = ListWatch(cluster, resource, self, selector, clock)
        self._resource = resource
        # Names of objects that were put since the running list was requested: the list may not show them yet.
        self._written: set[str] = set()
        # By name alone: an informer follows one kind in one namespace, or one kind that has no namespace.
        self._objects: dict[str, Object] = {}
        self._listeners: list[Listener] = []

    def start(self) -> None:
        """Begin to follow in a task of the running loop; the copy is empty until :attr:`synced` is set."""
        self.list_watch.start()

    async def stop(self) -> None:
        """End the watch. The copy stays readable and :attr:`is_current` turns false."""
        await self.list_watch.stop()

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call ``listener`` for every change from now on; return a function that ends that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def get(self, name: str) -> Object | None:
        """Return the object as last seen, None where there is none. It is the copy's own: read it only."""
        return self._objects.get(name)

    def __iter__(self) -> Iterator[Object]:
        # A snapshot: callers may await between two objects, and a change would break a live iteration.
        return iter(list(self._objects.values()))

    def __len__(self) -> int:
        return len(self._objects)

    @property
    def synced(self) -> asyncio.Event:
        """Event that is set once there has been a list."""
        return self.list_watch.synced

    @property
    def is_current(self) -> bool:
        """True while the copy still follows the cluster."""
        return self.list_watch.is_current

    def put(self, body: Object) -> None:
        """Take an object from the answer of a write, ahead of the watch."""
        self._written.add(body["metadata"]["name"])
        self.take_object(body)

    def begin_list(self) -> None:
        """Forget earlier writes: a list that is requested now shows their effect itself."""
        self._written.clear()

    def take_object(self, body: Object) -> None:
        """Take a changed object. An older version never replaces a newer one, in whatever order
        they arrive."""
        name = body["metadata"]["name"]
        # Equal versions are one state that comes twice after `put`: as the answer, then as the event.
        if version_number(body) > version_number(self._objects.get(name)):
            self._store_object(name, body)

    def replace_all(self, objects: list[Object], version_of_list: str) -> None:
        """Take a whole list as it is: after a restore of etcd the true versions are lower than the known
        ones. Only what was written while the list was on its way may be newer than the list.
        """
        present = {body["metadata"]["name"]: body for body in objects}
        # Missing in the list means deleted while no watch saw it, unless we wrote it after the list was read.
        for name in set(self._objects) - set(present) - self._written:
            self.drop_object(self._objects[name])
        for name, body in present.items():
            if name in self._written:
                self.take_object(body)
            # Unequal, not greater: a list counts as it is, also where its versions are lower.
            elif version_number(body) != version_number(self._objects.get(name)):
                self._store_object(name, body)

    def _store_object(self, name: str, body: Object) -> None:
        """Keep an object. Where it replaces another one of its name, whose deletion was not seen, listeners
        are told of that deletion first.
        """
        # A name can be used again at once; only the uid tells a changed object from a new one.
        known = self._objects.get(name)
        if known is not None and known["metadata"].get("uid") != body["metadata"].get("uid"):
            self.drop_object(known)
        self._objects[name] = body
        self._tell(body, False)

    def drop_object(self, body: Object) -> None:
        """Drop a deleted object. A late event about a predecessor of the same name drops nothing."""
        name = body["metadata"]["name"]
        known = self._objects.get(name)
        if known is not None and known["metadata"].get("uid") == body["metadata"].get("uid"):
            del self._objects[name]
            self._tell(body, True)

    def _tell(self, body: Object, deleted: bool) -> None:
        """Call all listeners. One that fails on an object neither ends the watch nor keeps others from being
        called.
        """
        # A copy of the list, since a listener may end its own subscription while it is called.
        for listener in list(self._listeners):
            try:
                listener(body, deleted)
            except Exception as error:
                where = {"resource": self._resource.plural, "object": body["metadata"]["name"]}
                # The type only: an exception's text may quote the object, and objects hold credentials.
                log.error("a listener failed: %s", type(error).__name__, extra=where)


def version_number(body: Object | None) -> int:
    """Return an object's version as a number; etcd's revisions only grow, so the greater is the newer."""
    if body is None:
        return -1
    try:
        return int(body["metadata"].get("resourceVersion", 0))
    except ValueError:
        return 0
