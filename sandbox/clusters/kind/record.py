"""What the driver remembers of a kind cluster: one JSON file, replaced atomically."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from c2d_box.errors import StateProblem
from sandbox.clusters.native.record import Options, write_atomically
from sandbox.clusters.port import Isolation

FORMAT = 1
Phase = Literal["creating", "created"]


@dataclass(frozen=True, slots=True)
class Record:
    name: str
    cluster: str
    """kind's name of the cluster; also that of its Docker network."""
    phase: Phase = "creating"
    """``creating``: what is there may be half a cluster."""
    ports: dict[int, int] = field(default_factory=dict)
    """Host port → NodePort, fixed when the node was made."""
    isolation: Isolation = field(default_factory=Isolation)
    options: Options = field(default_factory=Options)

    @property
    def node(self) -> str:
        """Name of the node and of its container."""
        return f"{self.cluster}-control-plane"

    @property
    def runtime_classes(self) -> dict[str, str]:
        return {
            "algorithm": f"{self.name}-unrouted",
            "configuration": f"{self.name}-staging",
            "publishing": f"{self.name}-publishing",
        }

    def changed(self, **values: Any) -> Record:
        return replace(self, **values)

    def save(self, path: Path) -> None:
        value = asdict(self) | {
            "format": FORMAT,
            "isolation": self.isolation.as_dict(),
            "ports": {str(host): node for host, node in self.ports.items()},
        }
        write_atomically(path, json.dumps(value, indent=1))

    @classmethod
    def load(cls, path: Path) -> Record | None:
        """The record at ``path``; None where there is none."""
        try:
            value = json.loads(path.read_text())
            if value.pop("format") != FORMAT:
                raise ValueError("another format")
            value["isolation"] = Isolation.from_dict(value["isolation"])
            value["options"] = Options(**value["options"])
            value["ports"] = {int(host): int(node) for host, node in value["ports"].items()}
            return cls(**value)
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as cause:
            raise StateProblem(
                "C2D-CLUSTER-RECORD",
                f"The cluster's record {path} cannot be read.",
                "It was written by another version or damaged: forget the box with `c2d-box reset`.",
            ) from cause
