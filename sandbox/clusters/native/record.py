"""The driver's record of a native cluster between runs: one JSON file, replaced atomically."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

from c2d_box.files import replace_private_file
from sandbox.clusters.driver_record import Options, restored, runtime_classes, stored
from sandbox.clusters.native.ranges import Ranges
from sandbox.clusters.port import Isolation


@dataclass(frozen=True, slots=True)
class Record:
    """The cluster as it was created: its programs, address block, owner, ports and options."""

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
        return runtime_classes(self.name)

    def changed(self, **values: Any) -> Record:
        return replace(self, **values)

    def save(self, path: Path) -> None:
        replace_private_file(path, stored(self), self.owner)

    @classmethod
    def load(cls, path: Path) -> Record | None:
        """The record at ``path``; None where there is none."""
        return restored(
            path,
            lambda value: cls(
                **value
                | {
                    "options": Options(**value["options"]),
                    "owner": (int(value["owner"][0]), int(value["owner"][1])),
                }
            ),
        )
