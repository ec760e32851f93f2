"""Where a box keeps everything it knows: one folder, so that it can be moved, looked at and forgotten.

Secrets live below ``keys/`` and in ``kubeconfig``, all 0600. ``cluster/`` belongs to the cluster driver,
which may keep root-owned files there; everything else belongs to the user who started the box.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Home:
    """The folder layout of one box. Nothing is created by asking for a path."""

    path: Path

    @classmethod
    def default(cls) -> Home:
        """``C2D_BOX_HOME``, else ``$XDG_DATA_HOME/c2d-box``, else ``~/.local/share/c2d-box``."""
        if chosen := os.environ.get("C2D_BOX_HOME"):
            return cls(Path(chosen).absolute())
        data = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
        return cls(Path(data) / "c2d-box")

    @property
    def box_file(self) -> Path:
        """``box.json``: name, address ranges, ports, versions."""
        return self.path / "box.json"

    @property
    def keys(self) -> Path:
        """Folder of generated keys, 0700; files in it 0600."""
        return self.path / "keys"

    @property
    def cluster(self) -> Path:
        """The cluster driver's own folder: certificates, etcd, containerd, kubelet, logs, its record."""
        return self.path / "cluster"

    @property
    def volumes(self) -> Path:
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
        """What ``seed`` has planted in this box, by name."""
        return self.path / "seed.json"

    @property
    def baseline_file(self) -> Path:
        """The state to which ``reset --assets`` returns."""
        return self.path / "baseline.json"


def replace_file(
    path: Path,
    content: str | bytes,
    *,
    mode: int = 0o666,
    owner: tuple[int, int] | None = None,
    durable: bool = False,
) -> None:
    """Write a file as a whole or not at all: a reader, or an interrupted run, has the old content or the new.

    ``mode`` is cut by the umask; ``owner`` (uid, gid) is given where the process is root; ``durable``: a
    reboot changes nothing of it either.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content.encode() if isinstance(content, str) else content)
        stream.flush()
        if durable:
            os.fsync(stream.fileno())
    if owner is not None and os.geteuid() == 0:
        os.chown(draft, *owner)
    draft.replace(path)
