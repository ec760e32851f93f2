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
    """The cluster as it was created: its programs, address block, owner, ports and options.

    Root reads this file and runs what it names; it is 0600 and belongs to the user who may become root
    anyway.
    """

    name: str
    block: str
    """The /16 of the box, from which all its addresses are derived."""
    kubernetes_version: str
    programs: dict[str, str]
    """Absolute path of each program of the bundle."""
    owner: tuple[int, int]
    """User and group id to whom the home's files belong."""
    pause_reference: str
    """Image with which every pod begins, and its archive in the bundle."""
    pause_archive: str
    ports: dict[int, int] = field(default_factory=dict)
    """Host port → NodePort."""
    isolation: JobIsolation = field(default_factory=JobIsolation)
    options: ClusterOptions = field(default_factory=ClusterOptions)

    @property
    def address_ranges(self) -> AddressRanges:
        """Return the subranges of the block."""
        return AddressRanges(IPv4Network(self.block))

    @property
    def runtime_classes(self) -> dict[str, str]:
        """Return the job classes' handlers by stage."""
        return runtime_classes(self.name)

    def with_values(self, **values: Any) -> NativeRecord:
        """Return a copy with other values."""
        return replace(self, **values)

    def save_record(self, path: Path) -> None:
        """Write the record, synced, for the box's user also where root writes it."""
        replace_private_file(path, record_text(self), self.owner)

    @classmethod
    def load_from(cls, path: Path) -> NativeRecord | None:
        """Return the record at ``path``; None where there is none."""
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
