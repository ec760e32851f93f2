"""The driver's record of a cluster that is not its own: one JSON file, replaced atomically."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from c2d_box.files import replace_private_file
from sandbox.clusters.driver_record import load_record, record_text
from sandbox.clusters.port import JobIsolation


@dataclass(frozen=True, slots=True)
class ExistingRecord:
    """The installed box as the driver recorded it: where it is, its addresses, ports and pushed images.

    Credentials are not part of it; they stand in the box's kubeconfig alone.
    """

    name: str
    server: str
    """URL of the API server, for messages: users must see whose cluster they are about to change."""
    context: str
    services: str
    """The part of the cluster's service range in which the box's addresses were free."""
    dns_ip: str
    registry: str
    """Prefix of image names at the time of installing."""
    phase: Literal["running", "stopped"] = "running"
    ports: dict[int, int] = field(default_factory=dict)
    """Port of 127.0.0.1 → NodePort, of the forwards that should be open."""
    isolation: JobIsolation = field(default_factory=JobIsolation)
    images: dict[str, str] = field(default_factory=dict)
    """Reference → manifest digest of each image that was pushed to the registry."""
    replicas: dict[str, int] = field(default_factory=dict)
    """Number of replicas of each Deployment before ``stop``."""

    def with_values(self, **values: Any) -> ExistingRecord:
        """Return a copy with other values."""
        return replace(self, **values)

    def save_record(self, path: Path) -> None:
        """Write the record, synced: it says in whose cluster the box's objects are."""
        replace_private_file(path, record_text(self))

    @classmethod
    def load_from(cls, path: Path) -> ExistingRecord | None:
        """Return the record at ``path``; None where there is none."""
        return load_record(path, lambda value: cls(**value))
