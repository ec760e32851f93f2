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
    """The folder layout of one box. Nothing is created by asking for a path.

    Modules take their paths from here instead of joining strings, so that a file can be moved in one place.
    """

    path: Path

    @classmethod
    def default_home(cls) -> BoxHome:
        """Return ``C2D_BOX_HOME``, else ``$XDG_DATA_HOME/c2d-box``, else ``~/.local/share/c2d-box``.

        The path is made absolute: the supervisor, which opens it too, has another working directory.
        """
        if chosen := os.environ.get("C2D_BOX_HOME"):
            return cls(Path(chosen).expanduser().absolute())
        data = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
        return cls(Path(data) / "c2d-box")

    @property
    def box_file(self) -> Path:
        """Return ``box.json``, the choices of the first ``up`` (:class:`sandbox.settings.BoxSettings`)."""
        return self.path / "box.json"

    @property
    def declaration_file(self) -> Path:
        """Return ``c2d-box.yaml``, which declares the box's settings (:mod:`sandbox.box_file`)."""
        return self.path / "c2d-box.yaml"

    @property
    def keys_folder(self) -> Path:
        """Return the folder of generated keys, 0700; files in it are 0600."""
        return self.path / "keys"

    @property
    def cluster_folder(self) -> Path:
        """Return the cluster driver's own folder: its record, and for the native one certificates, etcd,
        containerd, kubelet and logs. ``delete`` removes it whole.
        """
        return self.path / "cluster"

    @property
    def volumes_folder(self) -> Path:
        """Return the root of the volumes that the native box's provisioner makes; mounts below it reach
        pods.
        """
        return self.path / "volumes"

    @property
    def kubeconfig(self) -> Path:
        """Return the administrator's kubeconfig, 0600: whoever reads it is root in the cluster."""
        return self.path / "kubeconfig"

    @property
    def address_file(self) -> Path:
        """Return the file with the contract addresses of the box's chain, in the form of Ocean's address
        file.
        """
        return self.path / "address.json"

    @property
    def seed_file(self) -> Path:
        """Return ``seed.json``: the assets that ``seed`` has published in this box, by name."""
        return self.path / "seed.json"

    @property
    def baseline_file(self) -> Path:
        """Return the file with the state to which ``reset --assets`` returns."""
        return self.path / "baseline.json"
