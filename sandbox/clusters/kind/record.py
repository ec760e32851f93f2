"""The driver's record of a kind cluster: one JSON file, replaced atomically."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from c2d_box.files import replace_private_file
from sandbox.clusters.driver_record import Options, restored, runtime_classes, stored
from sandbox.clusters.port import Isolation

Phase = Literal["creating", "created"]


@dataclass(frozen=True, slots=True)
class Record:
    """The cluster as it was made: its name, ports, isolation and options."""

    name: str
    cluster: str
    """The tool's name of the cluster; also the name of its Docker network."""
    phase: Phase = "creating"
    """``creating``: the cluster may be half made."""
    ports: dict[int, int] = field(default_factory=dict)
    """Host port → NodePort, fixed when the node was made."""
    isolation: Isolation = field(default_factory=Isolation)
    options: Options = field(default_factory=Options)
    cgroups: Literal[1, 2] = 2
    """Version of the machine's control groups, as its Docker engine reports it."""
    driver: Literal["kind", "k3d"] = "kind"

    @property
    def node(self) -> str:
        """Return the name of the node and of its container."""
        return f"{self.cluster}-control-plane" if self.driver == "kind" else f"k3d-{self.cluster}-server-0"

    @property
    def runtime_classes(self) -> dict[str, str]:
        return runtime_classes(self.name)

    def changed(self, **values: Any) -> Record:
        return replace(self, **values)

    def save(self, path: Path) -> None:
        replace_private_file(path, stored(self))

    @classmethod
    def load(cls, path: Path) -> Record | None:
        """Return the record at ``path``; None where there is none."""
        return restored(path, lambda value: cls(**value | {"options": Options(**value["options"])}))
