"""The engine's watches: workflows, job pods and their claims, each followed by a list-watch of its own.

Each change is handed to the controller and nothing else is done here. A watch that breaks is begun anew with
a list, so an object deleted meanwhile is noticed at once and not at the next upkeep.
"""

from __future__ import annotations

import asyncio

from c2d_box.kubernetes.list_watch import ListWatch
from c2d_box.kubernetes.port import Cluster, Object, ResourceKind
from c2d_box.operator_engine.controller import Controller
from c2d_box.operator_engine.state.job_cache import SELECTORS


async def follow_cluster(cluster: Cluster, controller: Controller) -> None:
    """Follow all watches until cancelled."""
    async with asyncio.TaskGroup() as group:
        # One failing task would cancel all; ListWatch.run catches what a watch can raise.
        for kind, selector in SELECTORS.items():
            followed = ListWatch(cluster, kind, _ControllerCopy(controller, kind), selector)
            group.create_task(followed.run(), name=f"watch {kind.plural}")


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
