"""List, watch, and list again: the loop that keeps a copy of one kind of objects up to date.

The trap it avoids is a copy that has silently stopped following. Whatever ends the watch, also an unforeseen
error, the list is read anew and handed on whole, so deletions during a gap are seen. ``synced`` says
whether there has been a list at all, ``is_current`` whether the loop still follows.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from c2d_box.kubernetes.port import Cluster, ClusterError, Object, ObjectGone, ResourceKind
from c2d_box.retry import Backoff

log = logging.getLogger(__name__)
RELIST_SECONDS = 0.1
"""Pause before the list is read anew because the watch was too old, which is no failure."""
STEADY_SECONDS = 10.0
"""A watch that lasted this long ends a series of failures, also where nothing changed meanwhile."""
BROKEN_SECONDS = 30.0
"""Seconds the watch may be broken before the copy no longer counts as current."""


class Copy(Protocol):
    """The copy that a :class:`ListWatch` keeps up to date."""

    def begin_list(self) -> None:
        """Note that a list is about to be requested: what is written from now on may be newer than it."""
        ...

    def replace_all(self, objects: list[Object], version: str) -> None:
        """Replace the copy by ``objects``, which are all there are as of the list's ``version``."""
        ...

    def take_object(self, body: Object) -> None:
        """Take ``body``, which was added or has changed."""
        ...

    def drop_object(self, body: Object) -> None:
        """Drop ``body``, which was deleted."""
        ...


class ListWatch:
    """Keeps one ``copy`` of the objects of ``resource`` that have the labels of ``selector``."""

    def __init__(
        self,
        cluster: Cluster,
        resource: ResourceKind,
        copy: Copy,
        selector: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cluster = cluster
        self._resource = resource
        self._copy = copy
        self._selector = selector
        self._clock = clock
        self._backoff = Backoff(0.5, 5.0, steady=STEADY_SECONDS)
        # Moment of the first failure since the last complete list; None while the watch works.
        self._broken_since: float | None = None
        self._task: asyncio.Task[None] | None = None
        self.synced = asyncio.Event()

    def start(self) -> asyncio.Task[None]:
        """Begin to follow; return the task, which ends only when it is stopped."""
        self._task = asyncio.create_task(self.run(), name=f"watch {self._resource.plural}")
        return self._task

    async def stop(self) -> None:
        """Cancel the task and wait for its end; does nothing where it was never started."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    @property
    def is_current(self) -> bool:
        """True once there has been a list, and until the watch has been broken for ``BROKEN_SECONDS``."""
        if not self.synced.is_set() or self._task is None or self._task.done():
            return False
        # A break of some seconds is usual (an API server restarts), and readiness must not flap with it.
        return self._broken_since is None or self._clock() - self._broken_since < BROKEN_SECONDS

    async def run(self) -> None:
        """Follow until cancelled."""
        while True:
            began = self._clock()
            try:
                await self._follow()
            # The server forgets old versions (etcd is compacted). That is no
            # failure: the pause need not grow.
            except ObjectGone:
                log.info("watch too old, listing again", extra={"resource": self._resource.plural})
                pause = RELIST_SECONDS
            except ClusterError as error:
                log.warning("watch failed: %s", error.message, extra={"resource": self._resource.plural})
                pause = self.note_failure(began)
            # The loop must not end with a fault that nobody foresaw: its copy would be stale for good.
            except Exception as error:  # a cut line, a page of a proxy, a token that is being replaced
                name = type(error).__name__
                log.error("watch failed: %s", name, extra={"resource": self._resource.plural})
                pause = self.note_failure(began)
            await asyncio.sleep(pause)

    def note_failure(self, began: float) -> float:
        """Return the seconds to wait before the next attempt; ``began``: when the failed one did."""
        now = self._clock()
        if self._broken_since is None:
            self._broken_since = now
        return self._backoff.next_pause(lasted=now - began)

    async def _follow(self) -> None:
        # Before the request: a write that is answered while the list is on its way may be missing in it.
        self._copy.begin_list()
        objects, resume = await self._cluster.list(self._resource, self._selector)
        self._copy.replace_all(objects, resume)
        self._broken_since = None
        self.synced.set()
        # The server ends a watch from time to time without an error. It is then resumed from the last version
        # seen, without a new list.
        while True:
            async for change in self._cluster.watch(self._resource, resume, self._selector):
                # An event proves that the watch works, so a later failure is the first of a new series.
                self._backoff.reset()
                resume = change.object["metadata"]["resourceVersion"]
                if change.kind == "DELETED":
                    self._copy.drop_object(change.object)
                # A bookmark has no content but the version, which is taken over above.
                elif change.kind != "BOOKMARK":
                    self._copy.take_object(change.object)
