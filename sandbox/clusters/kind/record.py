"""The driver's record of a kind cluster: one JSON file, replaced atomically."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from c2d_box.files import replace_private_file
from sandbox.clusters.driver_record import ClusterOptions, load_record, record_text, runtime_classes
from sandbox.clusters.port import JobIsolation

Phase = Literal["creating", "created"]


@dataclass(frozen=True, slots=True)
class KindRecord:
    """The cluster as it was made: its name, ports, isolation and options."""

    name: str
    """The box's name."""
    cluster: str
    """The tool's name of the cluster; also the name of its Docker network."""
    phase: Phase = "creating"
    """``creating``: the cluster may be half made."""
    ports: dict[int, int] = field(default_factory=dict)
    """Host port → NodePort, fixed when the node was made."""
    isolation: JobIsolation = field(default_factory=JobIsolation)
    """Endpoints that were allowed last; in force again at each start of the node."""
    options: ClusterOptions = field(default_factory=ClusterOptions)
    cgroups: Literal[1, 2] = 2
    """Version of the machine's control groups, as its Docker engine reports it."""
    driver: Literal["kind", "k3d"] = "kind"

    @property
    def node_name(self) -> str:
        """Return the name of the node and of its container."""
        # The two tools' own rules for names; there is no option to choose another.
        return f"{self.cluster}-control-plane" if self.driver == "kind" else f"k3d-{self.cluster}-server-0"

    @property
    def runtime_classes(self) -> dict[str, str]:
        """Return the job classes' handlers by stage."""
        return runtime_classes(self.name)

    def with_values(self, **values: Any) -> KindRecord:
        """Return a copy with other values."""
        return replace(self, **values)

    def save_record(self, path: Path) -> None:
        """Write the record, synced: it is what a sweep after a power loss goes by."""
        replace_private_file(path, record_text(self))

    @classmethod
    def load_from(cls, path: Path) -> KindRecord | None:
        """Return the record at ``path``; None where there is none."""
        return load_record(path, lambda value: cls(**value | {"options": ClusterOptions(**value["options"])}))
