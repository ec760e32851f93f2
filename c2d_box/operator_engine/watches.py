"""The engine's watches: workflows, job pods and their claims, each followed by a list-watch of its own.

Each change is handed to the controller and nothing else is done here. A watch that breaks is begun anew with
a list, so an object deleted meanwhile is noticed at once and not at the next upkeep.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from c2d_box.kubernetes.list_watch import ListWatch
from c2d_box.kubernetes.port import Cluster, Object, ResourceKind
from c2d_box.operator_engine.controller import Controller
from c2d_box.operator_engine.state.job_cache import SELECTORS


class EngineWatches:
    """All watches of one engine."""

    def __init__(
        self, cluster: Cluster, controller: Controller, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._watches = [
            ListWatch(cluster, kind, _ControllerCopy(controller, kind), selector, clock)
            for kind, selector in SELECTORS.items()
        ]

    @property
    def is_current(self) -> bool:
        """True once everything has been listed, and while all of it is still followed."""
        return all(watch.is_current for watch in self._watches)

    async def follow_cluster(self) -> None:
        """Follow all watches until cancelled."""
        await asyncio.gather(*(watch.start() for watch in self._watches))


class _ControllerCopy:
    """Adapter that lets a :class:`ListWatch` feed one kind of objects into the controller."""

    def __init__(self, controller: Controller, kind: ResourceKind) -> None:
        self._controller = controller
        self._kind = kind

    def begin_list(self) -> None:
        """Do nothing: the controller's cache compares versions to tell what is younger than a list."""

    def replace_all(self, objects: list[Object], version: str) -> None:
        self._controller.take_list(self._kind, objects, version)

    def take_object(self, body: Object) -> None:
        self._controller.take_change(self._kind, body, deleted=False)

    def drop_object(self, body: Object) -> None:
        self._controller.take_change(self._kind, body, deleted=True)
