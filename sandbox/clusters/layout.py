"""Names and paths of one native cluster, all derived from its home and its name."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from c2d_box.errors import UsageError
from sandbox.home import BoxHome

LONGEST_HOME = 75
"""Unix socket paths end at 107 bytes; kubelet needs up to 30 of them below the home."""


def path_bytes(path: Path) -> int:
    """Return a path's length as the kernel counts it: an umlaut is two bytes."""
    return len(os.fsencode(path.absolute()))


@dataclass(frozen=True, slots=True)
class ClusterLayout:
    """The names and paths of one native cluster. Asking for a path creates nothing."""

    home: BoxHome
    name: str

    @property
    def root(self) -> Path:
        return self.home.cluster_folder

    @property
    def identity(self) -> str:
        """Return eight hexadecimal digits that tell this box's names on the machine from another's."""
        return hashlib.sha256(f"{self.home.path.resolve()}\0{self.name}".encode()).hexdigest()[:8]

    @property
    def control_group(self) -> str:
        return f"c2d-{self.name}-{self.identity}"

    @property
    def host_link(self) -> str:
        """Return the name of the machine's end of the link to the node; 12 characters of the 15 allowed."""
        return f"c2d-{self.identity}"

    @property
    def nft_table(self) -> str:
        return f"c2d-{self.name}"

    @property
    def record_file(self) -> Path:
        return self.root / "cluster.json"

    @property
    def state_file(self) -> Path:
        """Return the file with the box's process ids and their start times, written by the anchor."""
        return self.root / "state.json"

    @property
    def components_file(self) -> Path:
        """Return the file with the last known state of each component, so that ``status`` of a dead box can
        still say why.
        """
        return self.root / "components.json"

    @property
    def supervisor_lock(self) -> Path:
        return self.root / "supervisor.lock"

    @property
    def create_lock(self) -> Path:
        return self.root / "create.lock"

    @property
    def supervisor_socket(self) -> Path:
        return self.root / "supervisor.sock"

    @property
    def pki_folder(self) -> Path:
        return self.root / "pki"

    @property
    def configuration_folder(self) -> Path:
        return self.root / "etc"

    @property
    def programs_folder(self) -> Path:
        return self.root / "bin"

    @property
    def logs_folder(self) -> Path:
        return self.root / "logs"

    @property
    def pod_logs(self) -> Path:
        return self.root / "pod-logs"

    @property
    def etcd(self) -> Path:
        return self.root / "etcd"

    @property
    def containerd(self) -> Path:
        return self.root / "containerd"

    @property
    def kubelet(self) -> Path:
        return self.root / "kubelet"

    def log_file(self, component: str) -> Path:
        return self.logs_folder / f"{component}.log"

    def check_limits(self) -> None:
        """Refuse homes and names that something below would refuse later, with a less clear error."""
        length = path_bytes(self.home.path)
        if length > LONGEST_HOME:
            raise UsageError(
                "C2D-HOME-TOO-LONG",
                f"The home's path has {length} bytes; {LONGEST_HOME} are possible.",
                "Choose a shorter path with --home or C2D_BOX_HOME.",
            )
        plain = self.name.replace("-", "a")
        if not (plain.isalnum() and plain.isascii() and plain == plain.lower() and len(self.name) <= 20):
            raise UsageError(
                "C2D-BOX-NAME",
                f"'{self.name}' cannot name a box.",
                "Use at most 20 lower-case letters, digits and hyphens.",
            )
