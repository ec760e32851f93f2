"""What a native cluster must remember between runs: one JSON file, replaced atomically."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field, replace
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

from c2d_box.errors import StateProblem
from sandbox.clusters.native.ranges import Ranges
from sandbox.clusters.port import Isolation

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Options:
    egress: bool = False
    """Let service pods leave the machine. Job pods never can."""
    isolation_off: bool = False
    """For tests that must see themselves fail: job classes get the ordinary pod network. Never for a user."""


@dataclass(frozen=True, slots=True)
class Record:
    name: str
    block: str
    kubernetes_version: str
    programs: dict[str, str]
    """Absolute path of each program of the bundle."""
    owner: tuple[int, int]
    pause_reference: str
    pause_archive: str
    ports: dict[int, int] = field(default_factory=dict)
    """Host port → NodePort."""
    isolation: Isolation = field(default_factory=Isolation)
    options: Options = field(default_factory=Options)

    @property
    def ranges(self) -> Ranges:
        return Ranges(IPv4Network(self.block))

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
        write_atomically(path, json.dumps(value, indent=1), self.owner)

    @classmethod
    def load(cls, path: Path) -> Record | None:
        """The record at ``path``; None where there is none."""
        try:
            value = json.loads(path.read_text())
            if value.pop("format") != FORMAT:
                raise ValueError("another format")
            value["isolation"] = Isolation.from_dict(value["isolation"])
            value["options"] = Options(**value["options"])
            value["owner"] = (int(value["owner"][0]), int(value["owner"][1]))
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


def write_atomically(
    path: Path, text: str, owner: tuple[int, int] | None = None, durable: bool = True
) -> None:
    """Replace ``path`` (0600) so that a reader sees either the old text or the new; ``durable``: so does a
    reboot."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(fd, "w") as stream:
        stream.write(text)
        stream.flush()
        if durable:
            os.fsync(stream.fileno())
    if owner is not None and os.geteuid() == 0:
        os.chown(draft, *owner)
    draft.replace(path)
