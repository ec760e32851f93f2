"""A local copy of one kind of objects, kept by list and watch, so that reading costs no call.

The trap it avoids: a copy that has silently stopped following. Whatever ends the watch, also an error that
nobody foresaw, the list is read anew and compared, so deletions during a gap are seen. ``synced`` says
whether there has been a list at all, ``is_current`` whether the copy still follows.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

from c2d_box.retry import Backoff
from c2d_box.workflow.cluster import Cluster, ClusterError, Gone, Object, Resource

log = logging.getLogger(__name__)
RELIST_SECONDS = 0.1
"""Before the list is read anew because the watch was too old, which is no failure."""
STEADY_SECONDS = 10.0
"""A watch that lasted so long ends a series of failures, also where nothing changed meanwhile."""
BROKEN_SECONDS = 30.0
"""How long the watch may be broken before the copy no longer counts as current."""

Listener = Callable[[Object, bool], None]
"""Called with an object and whether it has been deleted."""


class Informer:
    """Keeps the copy of one resource in one namespace; listeners are told of each change."""

    def __init__(
        self,
        cluster: Cluster,
        resource: Resource,
        selector: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._backoff = Backoff(0.5, 5.0, steady=STEADY_SECONDS)
        self._broken_since: float | None = None
        self._written: set[str] = set()
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

    @property
    def is_current(self) -> bool:
        """Whether there has been a list and the watch has not been broken for ``BROKEN_SECONDS``."""
        if not self.synced.is_set() or self._task is None or self._task.done():
            return False
        return self._broken_since is None or self._clock() - self._broken_since < BROKEN_SECONDS

    def put(self, body: Object) -> None:
        """Takes an object as a write's answer showed it, ahead of the watch."""
        self._written.add(body["metadata"]["name"])
        self._take_newer(body)

    def _take_newer(self, body: Object) -> None:
        name = body["metadata"]["name"]
        if version(body) > version(self._objects.get(name)):
            self._objects[name] = body
            self._tell(body, False)

    async def _run(self) -> None:
        while True:
            began = self._clock()
            try:
                await self._follow()
            except Gone:
                log.info("watch too old, listing again", extra={"resource": self._resource.plural})
                pause = RELIST_SECONDS
            except ClusterError as error:
                log.warning("watch failed: %s", error.message, extra={"resource": self._resource.plural})
                pause = self._note_failure(began)
            except Exception as error:  # a cut line, a page of a proxy, a token that is being replaced
                name = type(error).__name__
                log.error("watch failed: %s", name, extra={"resource": self._resource.plural})
                pause = self._note_failure(began)
            await asyncio.sleep(pause)

    def _note_failure(self, began: float) -> float:
        """Returns the seconds to wait before the next attempt."""
        now = self._clock()
        if self._broken_since is None:
            self._broken_since = now
        return self._backoff.next_pause(lasted=now - began)

    async def _follow(self) -> None:
        self._written.clear()
        objects, resume = await self._cluster.list(self._resource, self._selector)
        self._replace(objects)
        self._broken_since = None
        self.synced.set()
        while True:
            async for change in self._cluster.watch(self._resource, resume, self._selector):
                self._backoff.reset()
                resume = change.object["metadata"]["resourceVersion"]
                if change.kind == "DELETED":
                    self._drop(change.object)
                elif change.kind != "BOOKMARK":
                    self._take_newer(change.object)

    def _replace(self, objects: list[Object]) -> None:
        """Takes a whole list as it is: after a restore of etcd the true versions are lower than the known
        ones. Only what was written while the list was on its way may be newer than the list.
        """
        present = {body["metadata"]["name"]: body for body in objects}
        for name in set(self._objects) - set(present) - self._written:
            self._drop(self._objects[name])
        for name, body in present.items():
            if name in self._written:
                self._take_newer(body)
            elif version(body) != version(self._objects.get(name)):
                self._objects[name] = body
                self._tell(body, False)

    def _drop(self, body: Object) -> None:
        name = body["metadata"]["name"]
        known = self._objects.get(name)
        if known is not None and known["metadata"].get("uid") == body["metadata"].get("uid"):
            del self._objects[name]
            self._tell(body, True)

    def _tell(self, body: Object, deleted: bool) -> None:
        """A listener that fails on one object neither ends the watch nor keeps others from being told."""
        for listener in list(self._listeners):
            try:
                listener(body, deleted)
            except Exception as error:
                where = {"resource": self._resource.plural, "object": body["metadata"]["name"]}
                log.error("a listener failed: %s", type(error).__name__, extra=where)


def version(body: Object | None) -> int:
    """An object's version as a number; etcd's revisions only grow, so the greater is the newer."""
    if body is None:
        return -1
    try:
        return int(body["metadata"].get("resourceVersion", 0))
    except ValueError:
        return 0
