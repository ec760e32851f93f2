"""A local copy of one kind of objects, kept by list and watch, so that reading costs no call.

The trap it avoids: a copy that has silently stopped following. Whatever ends the watch, the list is read
anew and compared, so deletions during a gap are seen; ``synced`` says whether there has been a list at
all.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import suppress

from c2d_box.workflow.cluster import Cluster, ClusterError, Gone, Object, Resource

log = logging.getLogger(__name__)
_BACKOFF = (0.1, 0.5, 1.0, 2.0, 5.0)

Listener = Callable[[Object, bool], None]
"""Called with an object and whether it has been deleted."""


class Informer:
    def __init__(self, cluster: Cluster, resource: Resource, selector: str = "") -> None:
        self._cluster = cluster
        self._resource = resource
        self._selector = selector
        self._objects: dict[str, Object] = {}
        self._listeners: list[Listener] = []
        self._task: asyncio.Task[None] | None = None
        self.synced = asyncio.Event()

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name=f"informer {self._resource.plural}")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Calls ``listener`` for every change from now on; returns what ends that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def get(self, name: str) -> Object | None:
        return self._objects.get(name)

    def __iter__(self) -> Iterator[Object]:
        return iter(list(self._objects.values()))

    def __len__(self) -> int:
        return len(self._objects)

    def put(self, body: Object) -> None:
        """Takes an object as a write's answer showed it, ahead of the watch."""
        name = body["metadata"]["name"]
        if version(body) > version(self._objects.get(name)):
            self._objects[name] = body
            self._tell(body, False)

    async def _run(self) -> None:
        failures = 0
        while True:
            try:
                await self._follow()
                failures = 0
            except Gone:
                log.info("watch too old, listing again", extra={"resource": self._resource.plural})
            except ClusterError as error:
                log.warning("watch failed: %s", error.message, extra={"resource": self._resource.plural})
                failures += 1
            await asyncio.sleep(_BACKOFF[min(failures, len(_BACKOFF) - 1)])

    async def _follow(self) -> None:
        objects, resume = await self._cluster.list(self._resource, self._selector)
        self._replace(objects)
        self.synced.set()
        while True:
            async for change in self._cluster.watch(self._resource, resume, self._selector):
                resume = change.object["metadata"]["resourceVersion"]
                if change.kind == "DELETED":
                    self._drop(change.object)
                elif change.kind != "BOOKMARK":
                    self.put(change.object)

    def _replace(self, objects: list[Object]) -> None:
        present = {body["metadata"]["name"] for body in objects}
        for name in set(self._objects) - present:
            self._drop(self._objects[name])
        for body in objects:
            self.put(body)

    def _drop(self, body: Object) -> None:
        name = body["metadata"]["name"]
        known = self._objects.get(name)
        if known is not None and known["metadata"].get("uid") == body["metadata"].get("uid"):
            del self._objects[name]
            self._tell(body, True)

    def _tell(self, body: Object, deleted: bool) -> None:
        for listener in list(self._listeners):
            listener(body, deleted)


def version(body: Object | None) -> int:
    """An object's version as a number; etcd's revisions only grow, so the greater is the newer."""
    if body is None:
        return -1
    try:
        return int(body["metadata"].get("resourceVersion", 0))
    except ValueError:
        return 0
