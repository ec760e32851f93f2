"""Names and paths of one cluster of a box, all derived from its home and its name.

They are derived and never stored, so that a sweep after a crash finds what a killed run made without reading
anything of it.
"""

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
    """Return a path's length as the kernel counts it, in bytes: an umlaut is two."""
    return len(os.fsencode(path.absolute()))


@dataclass(frozen=True, slots=True)
class ClusterLayout:
    """The names and paths of one cluster. Asking for a path creates nothing.

    The native driver uses all of them; the others use the record, the root and the names.
    """

    home: BoxHome
    name: str

    @property
    def root(self) -> Path:
        """Return the driver's own folder, which ``delete`` removes."""
        return self.home.cluster_folder

    @property
    def identity(self) -> str:
        """Return eight hexadecimal digits that tell this box's names on the machine from another's.

        Two homes may hold boxes of one name; links and control groups are the machine's, not the home's.
        """
        # Resolved: a home behind a symbolic link is the same box. The NUL can be in neither part.
        return hashlib.sha256(f"{self.home.path.resolve()}\0{self.name}".encode()).hexdigest()[:8]

    @property
    def control_group(self) -> str:
        """Return the name of the box's subtree in each hierarchy of control groups; for kind, of cluster and
        network.
        """
        return f"c2d-{self.name}-{self.identity}"

    @property
    def host_link(self) -> str:
        """Return the name of the machine's end of the link to the node; 12 characters of the 15 that Linux
        allows.
        """
        return f"c2d-{self.identity}"

    @property
    def nft_table(self) -> str:
        """Return the name of the node's rule tables. They lie in the node's own network, so no identity is
        needed.
        """
        return f"c2d-{self.name}"

    @property
    def record_file(self) -> Path:
        """Return the driver's record. It exists exactly while there is a cluster, or half of one."""
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
        """Return the lock that the anchor holds for its whole life: locked means that the box lives."""
        return self.root / "supervisor.lock"

    @property
    def create_lock(self) -> Path:
        """Return the lock that lets one ``create`` at a time begin."""
        return self.root / "create.lock"

    @property
    def supervisor_socket(self) -> Path:
        """Return the socket on which the supervisor answers, 0600, owned by the box's user."""
        return self.root / "supervisor.sock"

    @property
    def pki_folder(self) -> Path:
        return self.root / "pki"

    @property
    def configuration_folder(self) -> Path:
        return self.root / "etc"

    @property
    def programs_folder(self) -> Path:
        """Return the folder of links to the bundle's programs, made anew at each start."""
        return self.root / "bin"

    @property
    def logs_folder(self) -> Path:
        return self.root / "logs"

    @property
    def pod_logs(self) -> Path:
        """Return the folder of the pods' logs. Kubernetes' usual one, /var/log/pods, ends with the box
        there.
        """
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
        """Return a component's log, to which its standard output and error are appended."""
        return self.logs_folder / f"{component}.log"

    def check_limits(self) -> None:
        """Refuse homes and names that something below would refuse later, with a less clear error."""
        length = path_bytes(self.home.path)
        # Checked here, as the kubelet would only say that it cannot bind a socket.
        if length > LONGEST_HOME:
            raise UsageError(
                "C2D-HOME-TOO-LONG",
                f"The home's path has {length} bytes; {LONGEST_HOME} are possible.",
                "Choose a shorter path with --home or C2D_BOX_HOME.",
            )
        # The name becomes part of a host name, RuntimeClasses, nft tables and a container's name: what all of
        # them take.
        plain = self.name.replace("-", "a")
        if not (plain.isalnum() and plain.isascii() and plain == plain.lower() and len(self.name) <= 20):
            raise UsageError(
                "C2D-BOX-NAME",
                f"'{self.name}' cannot name a box.",
                "Use at most 20 lower-case letters, digits and hyphens.",
            )
