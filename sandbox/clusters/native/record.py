"""The driver's record of a native cluster between runs: one JSON file, replaced atomically."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

from c2d_box.files import replace_private_file
from sandbox.clusters.driver_record import ClusterOptions, load_record, record_text, runtime_classes
from sandbox.clusters.native.host.address_ranges import AddressRanges
from sandbox.clusters.port import JobIsolation


@dataclass(frozen=True, slots=True)
class NativeRecord:
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
    isolation: JobIsolation = field(default_factory=JobIsolation)
    options: ClusterOptions = field(default_factory=ClusterOptions)

    @property
    def address_ranges(self) -> AddressRanges:
        return AddressRanges(IPv4Network(self.block))

    @property
    def runtime_classes(self) -> dict[str, str]:
        return runtime_classes(self.name)

    def with_values(self, **values: Any) -> NativeRecord:
        return replace(self, **values)

    def save_record(self, path: Path) -> None:
        replace_private_file(path, record_text(self), self.owner)

    @classmethod
    def load_from(cls, path: Path) -> NativeRecord | None:
        """The record at ``path``; None where there is none."""
        return load_record(
            path,
            lambda value: cls(
                **value
                | {
                    "options": ClusterOptions(**value["options"]),
                    "owner": (int(value["owner"][0]), int(value["owner"][1])),
                }
            ),
        )
