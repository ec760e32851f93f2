"""The home of a box: one folder holds everything it knows, so that it can be moved, looked at and deleted.

Secrets live below ``keys/`` and in ``kubeconfig``, all 0600. ``cluster/`` belongs to the cluster driver,
which may keep root-owned files there; everything else belongs to the user who started the box.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class BoxHome:
    """The folder layout of one box. Nothing is created by asking for a path."""

    path: Path

    @classmethod
    def default_home(cls) -> BoxHome:
        """Return ``C2D_BOX_HOME``, else ``$XDG_DATA_HOME/c2d-box``, else ``~/.local/share/c2d-box``."""
        if chosen := os.environ.get("C2D_BOX_HOME"):
            return cls(Path(chosen).expanduser().absolute())
        data = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
        return cls(Path(data) / "c2d-box")

    @property
    def box_file(self) -> Path:
        """``box.json``: name, address ranges, ports, versions."""
        return self.path / "box.json"

    @property
    def keys_folder(self) -> Path:
        """Folder of generated keys, 0700; files in it 0600."""
        return self.path / "keys"

    @property
    def cluster_folder(self) -> Path:
        """The cluster driver's own folder: certificates, etcd, containerd, kubelet, logs, its record."""
        return self.path / "cluster"

    @property
    def volumes_folder(self) -> Path:
        """Root of the volumes that the box's provisioner makes; mounts below it reach pods."""
        return self.path / "volumes"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig, 0600."""
        return self.path / "kubeconfig"

    @property
    def address_file(self) -> Path:
        """Contract addresses of the box's chain, in the form of Ocean's address file."""
        return self.path / "address.json"

    @property
    def seed_file(self) -> Path:
        """Return ``seed.json``: the assets that ``seed`` has published in this box, by name."""
        return self.path / "seed.json"

    @property
    def baseline_file(self) -> Path:
        """Return the file with the state to which ``reset --assets`` returns."""
        return self.path / "baseline.json"
