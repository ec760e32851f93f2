"""A box seen without the RuntimeClasses that isolate its jobs, as on a cluster that has none."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sandbox.box import Box
from sandbox.clusters.port import ClusterDriver


class ClusterWithoutClasses:
    """The box's cluster as one that has no RuntimeClasses and whose policies nobody enforces."""

    def __init__(self, cluster: ClusterDriver) -> None:
        self._cluster = cluster
        self.runtime_classes: dict[str, str] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cluster, name)


@dataclass(frozen=True)
class BoxWithoutClasses(Box):
    """The same box on such a cluster."""

    @cached_property
    def cluster(self) -> ClusterDriver:
        return ClusterWithoutClasses(super().cluster)
