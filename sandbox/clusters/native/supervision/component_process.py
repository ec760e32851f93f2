"""Supervises one component: waits for its needs, starts it, checks readiness, restarts it with back-off."""

from __future__ import annotations

import asyncio
import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from c2d_box.retry import Backoff
from sandbox.clusters.layout import ClusterLayout
from sandbox.clusters.log_tail import tail_log
from sandbox.clusters.native.control_plane.api import check_holds
from sandbox.clusters.native.control_plane.components import ClusterComponent
from sandbox.clusters.native.host import syscalls
from sandbox.clusters.native.host.mount_namespace import shield_parameters
from sandbox.clusters.port import ComponentState, ComponentStatus

POLL = 0.04
"""Seconds between two readiness checks: a boot is a chain of them."""
LAST_LINES = 12
"""Lines of a component's log that an error quotes."""
STEADY_SECONDS = 30.0
"""Seconds of running after which earlier failures are forgotten."""
ATTEMPTS = 3
"""Number of short runs before the first readiness after which the boot is given up."""

Listener = Callable[["SupervisedComponent"], None]


@dataclass(slots=True)
class SupervisedComponent:
    """A component with its process, its state and its restarts."""

    component: ClusterComponent
    layout: ClusterLayout
    host_network: int
    """File descriptor of the machine's network namespace."""
    changed: Listener
    state: ComponentState = "waiting"
    since: float = field(default_factory=time.time)
    restarts: int = 0
    last_error: str = ""
    process: subprocess.Popen[bytes] | None = None
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    """Set at the first readiness and never cleared: those that wait for it have begun by then."""
    hopeless: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the boot should not wait for it any more; the supervision itself goes on."""
    stopping: bool = False
    """Set before any signal is sent, so that an ending process is not started again."""
    took: float = 0.0
    """Seconds from the last start to readiness."""

    @property
    def name(self) -> str:
        return self.component.name

    def status(self) -> ComponentStatus:
        """Return the state, with the process id as the box's own namespace numbers it."""
        pid = self.process.pid if self.process is not None and self.process.poll() is None else None
        return ComponentStatus(self.name, self.state, pid, self.restarts, self.last_error, self.since)

    def _set_state(self, state: ComponentState) -> None:
        """Enter a state and tell the supervisor."""
        self.state, self.since = state, time.time()
        self.changed(self)

    async def keep_running(self, needs: list[asyncio.Event]) -> None:
        """Start the component, watch it and start it again, until it is stopped."""
        for need in needs:
            await need.wait()
        # From a fifth of a second to half a minute; a run of STEADY_SECONDS begins the series anew.
        backoff = Backoff(0.2, 30.0, steady=STEADY_SECONDS)
        while not self.stopping:
            began = time.monotonic()
            await self._one_life()
            if self.stopping:
                break
            self.last_error = self._exit_reason()
            pause = backoff.next_pause(lasted=time.monotonic() - began)
            # Only before the first readiness: later a component is restarted for as long as the box lives.
            if not self.ready.is_set() and backoff.failures >= ATTEMPTS:
                self.hopeless.set()
            self._set_state("backing-off")
            await asyncio.sleep(pause)
            self.restarts += 1
        self._set_state("stopped")

    async def _one_life(self) -> None:
        """Start the process, watch it become ready, return when it has ended."""
        began = time.monotonic()
        self._set_state("starting")
        try:
            self.process = self._start_process()
        except OSError as cause:
            self.process, self.last_error = None, f"{self.component.program}: {cause.strerror}"
            return
        ended = asyncio.ensure_future(_end_of(self.process))
        while not ended.done():
            # In a thread: a check may wait for seconds, and other components are supervised in this loop.
            if await asyncio.to_thread(check_holds, self.component.check, self.layout.pki_folder):
                self.took = time.monotonic() - began
                self._set_state("ready")
                self.ready.set()
                break
            if time.monotonic() - began > self.component.patience:
                # It is not killed: a slow disk may yet let it come up, and its log goes on.
                self.last_error = f"not ready after {self.component.patience:.0f} s"
                self.hopeless.set()
            await asyncio.sleep(POLL)
        await ended

    def _start_process(self) -> subprocess.Popen[bytes]:
        """Start the process with an environment of its own: of the user's variables none may change a
        component.
        """
        component = self.component
        path = f"{self.layout.programs_folder}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        with self.layout.log_file(component.name).open("ab") as log:
            return subprocess.Popen(
                [component.name, *component.arguments],
                # The name in argv[0] may differ from the file's: one program holds all of Kubernetes.
                executable=component.program,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env={"PATH": path, "HOME": "/root", **component.environment},
                # Signals are sent by the supervisor only, one component after the other.
                start_new_session=True,
                preexec_fn=self._enter_place,
            )

    def _enter_place(self) -> None:
        """Enter the machine's network namespace or hide its kernel parameters, as the component asks. Runs in
        the child: only system calls here, since other threads of the parent may hold locks.
        """
        if self.component.in_host_network:
            syscalls.set_namespace(self.host_network, syscalls.CLONE_NEWNET)
        if self.component.sees_own_parameters:
            shield_parameters()

    def _exit_reason(self) -> str:
        """Return how the process ended, with the end of its log."""
        if self.process is None:
            return self.last_error
        code = self.process.returncode
        how = f"signal {-code}" if code < 0 else f"exit status {code}"
        return f"{how}\n{tail_log(self.layout.log_file(self.name), LAST_LINES)}".strip()

    def send_signal(self, number: int) -> None:
        """Send a signal to the process, where there is one."""
        if self.process is not None and self.process.poll() is None:
            os.kill(self.process.pid, number)

    async def end_process(self, number: int, patience: float) -> None:
        """Send signal ``number``, and kill the process after ``patience`` seconds."""
        self.stopping = True
        process = self.process
        if process is None or process.poll() is not None:
            return
        self.send_signal(number)
        try:
            # Not `process.wait()`: it would block the loop, in which the other components end.
            await asyncio.wait_for(_end_of(process), patience)
        except TimeoutError:
            process.kill()
            await _end_of(process)


async def _end_of(process: subprocess.Popen[bytes]) -> int:
    """Wait for the end of the process without a thread, and return its status.

    pidfd_open(2) gives a descriptor that becomes readable when the process ends, also for one that ended
    before.
    """
    if process.poll() is not None:
        return process.returncode
    loop = asyncio.get_running_loop()
    fd = os.pidfd_open(process.pid)
    ended = asyncio.Event()
    loop.add_reader(fd, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(fd)
        os.close(fd)
    return process.wait()
