"""Forwards ports of 127.0.0.1 to the box's services in a cluster whose nodes are not ours.

Nothing is opened on the nodes: `kubectl port-forward` goes through the API server, with the rights of the
kubeconfig. One process of the box keeps one kubectl per port alive; a lock tells whether that process lives,
and ending it ends every kubectl.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from c2d_box.files import replace_private_file
from c2d_box.proxies import environment_without_proxy
from sandbox.box_lock import is_locked
from sandbox.clusters.child_process import dying_with_parent

AGAIN = 0.5
"""Seconds before a forward that ended is started once more: its pod may not run yet."""
PATIENCE = 10.0
"""Seconds for the keeping process to appear, or to end, before harder means are used."""


@dataclass(frozen=True, slots=True)
class PortForward:
    """One port forward: a port of 127.0.0.1, and the service and port it leads to."""

    port: int
    service: str
    service_port: int


@dataclass(frozen=True, slots=True)
class PortForwards:
    """All port forwards of one box; ``folder`` is the driver's own."""

    folder: Path

    @property
    def lock_file(self) -> Path:
        return self.folder / "doors.lock"

    @property
    def log_file(self) -> Path:
        return self.folder / "doors.log"

    @property
    def plan_file(self) -> Path:
        return self.folder / "doors.json"

    def are_open(self) -> bool:
        """Return whether the keeping process lives. The kernel frees its lock however it ends."""
        return is_locked(self.lock_file)

    def open_forwards(
        self, kubectl: Sequence[str], server: str, namespace: str, doors: Sequence[PortForward]
    ) -> None:
        """Make ``doors`` the complete set of port forwards; do nothing where they are open already.
        ``server`` is the API server that kubectl talks to, never through a proxy of the environment.
        """
        plan = {
            "kubectl": list(kubectl),
            "server": server,
            "namespace": namespace,
            "doors": [asdict(door) for door in doors],
        }
        # The plan is compared as text: the process that runs was started from exactly this file.
        text = json.dumps(plan, indent=1)
        if self.are_open() and self.plan_file.exists() and self.plan_file.read_text() == text:
            return
        self.close_forwards()
        if not doors:
            return
        replace_private_file(self.plan_file, text)
        self.lock_file.unlink(
            missing_ok=True
        )  # it names a process that has ended: its number may be another's now
        # The child forks once more and leaves, so this returns at once and no zombie stays with the caller.
        with self.log_file.open("ab") as log:
            subprocess.run(
                # -P: the current folder is not searched for modules; a user may stand in one that has a
                # `json.py`.
                [sys.executable, "-P", "-m", "sandbox.clusters.existing.doors", str(self.folder)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Out of the terminal's session: Ctrl-C at a later command must not close the ports.
                start_new_session=True,
                check=True,
                env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[3])},
            )
        self._wait_until(self.are_open)

    def close_forwards(self) -> None:
        """End the process that keeps the forwards, and with it every forward."""
        if not self.are_open():
            return
        self._wait_until(
            lambda: bool(self.lock_file.read_text())
        )  # one that has just begun has the lock, and then a name
        # Safe against a reused number: the lock is held, so the process that wrote its number lives.
        os.kill(int(self.lock_file.read_text()), signal.SIGTERM)
        if not self._wait_until(lambda: not self.are_open()):
            os.kill(int(self.lock_file.read_text()), signal.SIGKILL)

    def _wait_until(self, question: Callable[[], bool]) -> bool:
        """Return whether ``question`` became true within :data:`PATIENCE` seconds."""
        end = time.monotonic() + PATIENCE
        while not question():
            if time.monotonic() > end:
                return False
            time.sleep(0.02)
        return True


def hold_forwards(doors: PortForwards) -> None:
    """Keep all forwards alive until a signal ends this process; only one process does this for a box."""
    descriptor = os.open(doors.lock_file, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    # The number is written only under the lock, so a reader of a locked file finds its holder.
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, str(os.getpid()).encode(), 0)
    plan = json.loads(doors.plan_file.read_text())
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    # 127.0.0.1 only: on other addresses the whole network could use the box's ports.
    command = [*plan["kubectl"], "--namespace", plan["namespace"], "port-forward", "--address", "127.0.0.1"]
    environment = environment_without_proxy(plan["server"])
    keepers = [
        # A thread per forward, which lives as long as its kubectl (see `dying_with_parent`).
        threading.Thread(target=_keep_forward, args=(command, environment, PortForward(**door), ended))
        for door in plan["doors"]
    ]
    for keeper in keepers:
        keeper.start()
    ended.wait()
    for keeper in keepers:
        keeper.join()


def _keep_forward(
    command: list[str], environment: Mapping[str, str], door: PortForward, ended: threading.Event
) -> None:
    """Run one kubectl, and another one each time it ends: it ends when its pod does, as at each rollout."""
    arguments = [*command, f"service/{door.service}", f"{door.port}:{door.service_port}"]
    while not ended.is_set():
        # It reports each connection on standard output; errors go to the log.
        forward = subprocess.Popen(
            arguments, env=environment, stdout=subprocess.DEVNULL, preexec_fn=dying_with_parent()
        )
        while forward.poll() is None and not ended.wait(0.1):
            pass
        if forward.poll() is None:
            forward.kill()
        forward.wait()
        ended.wait(AGAIN)


if __name__ == "__main__":
    if os.fork():  # who started it does not wait, and is no longer its parent
        os._exit(0)
    hold_forwards(PortForwards(Path(sys.argv[1])))
