"""The native driver: the part of a command that needs no root. What needs root is the supervisor's.

It starts that one program through sudo and then talks to its socket; other verbs ask for a password only
where a crash left something to sweep, or to delete root's files.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

from c2d_box.errors import C2DError, EnvironmentProblem, StateProblem, UsageError
from sandbox.box_lock import is_locked
from sandbox.clusters.archive_names import read_archive
from sandbox.clusters.driver_record import (
    NOT_ISOLATED,
    ClusterOptions,
    not_running_error,
    require_record,
    runtime_classes,
)
from sandbox.clusters.layout import ClusterLayout
from sandbox.clusters.log_tail import tail_log
from sandbox.clusters.native.host import address_ranges, host_ports, probes
from sandbox.clusters.native.host.processes import command_of, outer_numbers
from sandbox.clusters.native.host.sweep import holders
from sandbox.clusters.native.launching import as_root, invoking_user, require_root
from sandbox.clusters.native.record import NativeRecord
from sandbox.clusters.native.supervision import control_socket
from sandbox.clusters.port import (
    ClusterImage,
    ClusterState,
    ClusterStatus,
    ComponentStatus,
    JobIsolation,
    ResourceUsage,
)
from sandbox.home import BoxHome
from sandbox.progress import Progress, ProgressEvent

PROGRAMS = (
    "kube",
    "containerd",
    "containerd-shim-runc-v2",
    "ctr",
    "runc",
    "coredns",
    "forwarder",
    "cni/bridge",
    "cni/host-local",
    "cni/loopback",
)
"""Programs of the bundle that a native cluster runs, by their names there."""
BOOT_SILENCE = 120.0
"""Seconds without any news from a boot after which the supervisor counts as stuck."""
STOP_PATIENCE = 20.0
"""Seconds without news from a stop, and for the anchor to be gone after it."""
IMPORT_PATIENCE = 600.0
"""Seconds for one image: a large one is unpacked onto a slow disk."""


class NativePrograms(Protocol):
    """The part of a bundle that this driver needs."""

    @property
    def kubernetes_version(self) -> str: ...

    def binary(self, name: str) -> Path: ...

    def image(self, name: str) -> Any: ...


class NativeCluster:
    """A cluster in ``home`` made of ``bundle``'s programs. See ``sandbox.clusters.port`` for the contract."""

    def __init__(
        self, home: BoxHome, bundle: NativePrograms, name: str = "c2d", options: ClusterOptions | None = None
    ) -> None:
        self.home = home
        self.name = name
        self._bundle = bundle
        self._options = options or ClusterOptions()
        self._layout = ClusterLayout(home, name)
        self._held: int | None = None
        """Descriptor of the creator's lock: passed to the launcher, so that killing this process does not
        free the lock too early.
        """

    @property
    def kubeconfig(self) -> Path:
        return self.home.kubeconfig

    @property
    def node_ip(self) -> str:
        """Return the node's end of the link. No other machine has a route to it."""
        return str(self._load_record().address_ranges.node_ip)

    @property
    def service_cidr(self) -> str:
        return str(self._load_record().address_ranges.services)

    @property
    def dns_ip(self) -> str:
        return str(self._load_record().address_ranges.dns_ip)

    @property
    def volumes_root(self) -> str:
        return str(self.home.volumes_folder)

    @property
    def devices(self) -> str:
        """Return the machine's own folder: the box shares its /dev, loop devices included."""
        return "/dev"

    @property
    def registry(self) -> str:
        return ""

    @property
    def runtime_classes(self) -> dict[str, str]:
        """Return the job classes' handlers by stage. They need no record, only the box's name."""
        return runtime_classes(self.name)

    def _load_record(self) -> NativeRecord:
        """Return the record; raise ``C2D-NO-CLUSTER`` where nothing was ever made."""
        return require_record(NativeRecord.load_from(self._layout.record_file), self.home.path)

    # -- create, stop, delete ------------------------------------------------------------------------------

    def create(self) -> Progress[None]:
        """Boot the cluster, or join the boot that runs; see the contract.

        The events come from the supervisor, from the first one on, whichever command started the boot.
        """
        self._layout.check_limits()
        self._prepare_folder()
        with self._only_creator():
            phase = self._settled_phase()
            # What runs was started from another bundle, perhaps; a stopped box is compared in _fresh_record.
            if phase in ("running", "failed"):
                self._refuse_other_version(self._load_record(), running=True)
            if phase == "running":
                yield ProgressEvent("cluster", "skipped", "the cluster is running")
                return
            # No supervisor answers: nothing runs, or only leftovers, which it sweeps up itself.
            if phase is None:
                if self._options.isolation_off:
                    yield ProgressEvent("cluster.isolation", "note", NOT_ISOLATED)
                yield ProgressEvent("cluster.prepare", "started", "preparing certificates and network")
                self._boot_cluster()
                yield ProgressEvent("cluster.prepare", "done")
            try:
                yield from control_socket.follow_request(
                    self._layout.supervisor_socket, {"verb": "follow-boot"}, BOOT_SILENCE
                )
            except control_socket.SupervisorAway as cause:
                # The socket closed in mid-boot: the log says more than the broken connection.
                raise self._died_error() from cause
            except C2DError:
                self._abandon_boot()
                raise

    def _boot_cluster(self) -> None:
        """Check the machine, write the record, start the supervisor; return when its socket answers."""
        # First: a user without sudo should read that, not a list of kernel features.
        require_root()
        probes.require_all(self.home.path)
        record = self._fresh_record()
        host_ports.require_free(list(record.ports))
        # The supervisor takes everything from this file, so that root is passed nothing but a path.
        record.save_record(self._layout.record_file)
        as_root(self.home, held=self._held)

    def _abandon_boot(self) -> None:
        """Stop everything, so that a boot that failed is not left half running."""
        try:
            for _ in self.stop():
                pass
        except C2DError:
            return

    def _fresh_record(self) -> NativeRecord:
        """Return the earlier record with this bundle's programs, or a new one with a free address block."""
        pause = self._bundle.image("pause")
        before = NativeRecord.load_from(self._layout.record_file)
        if before is not None:
            self._refuse_other_version(before, running=False)
        # A block is kept for the box's life: the Services in etcd have their addresses in it.
        block = (
            before.block
            if before
            else str(address_ranges.choose_ranges(address_ranges.taken_by_host(), str(self.home.path)).block)
        )
        self._refuse_taken_range(block)
        return NativeRecord(
            name=self.name,
            block=block,
            kubernetes_version=self._bundle.kubernetes_version,
            # Absolute paths: the supervisor has another user, working directory and search path.
            programs={name: str(self._bundle.binary(name)) for name in PROGRAMS},
            owner=invoking_user(),
            pause_reference=pause.reference,
            pause_archive=str(pause.archive),
            # What was published and allowed holds again before the first pod starts (contract).
            ports=before.ports if before else {},
            isolation=before.isolation if before else JobIsolation(),
            # Not kept: isolation that was off for a test must not stay off.
            options=self._options,
        )

    def _refuse_taken_range(self, block: str) -> None:
        """Raise where the machine has got a route into this box's block since: a VPN, say."""
        clash = address_ranges.overlapping_range(block, self._layout.host_link)
        if clash:
            raise EnvironmentProblem(
                "C2D-RANGE-TAKEN",
                f"This box uses {block}, and the machine now has a route to {clash}.",
                "Take that network down while the box runs, or forget the box with `c2d-box reset`.",
            )

    def _refuse_other_version(self, record: NativeRecord, running: bool) -> None:
        """Raise ``C2D-BUNDLE-VERSION`` where this bundle must not touch the box.

        A stopped box may change its patch version, not its minor one; a running one neither.
        """
        if record.name != self.name:
            raise UsageError(
                "C2D-BOX-NAME",
                f"The box in {self.home.path} is called '{record.name}', not '{self.name}'.",
                "Use its name, or another home.",
            )
        ours = self._bundle.kubernetes_version
        minor = ".".join(ours.lstrip("v").split(".")[:2])
        theirs = ".".join(record.kubernetes_version.lstrip("v").split(".")[:2])
        if minor != theirs or (running and ours != record.kubernetes_version):
            raise StateProblem(
                "C2D-BUNDLE-VERSION",
                f"This box was made with Kubernetes {record.kubernetes_version}; the bundle has {ours}.",
                "Run `c2d-box down` and then `up`."
                if minor == theirs
                else "Use the bundle it was made with, or forget the box with `c2d-box reset`.",
            )

    def stop(self) -> Progress[None]:
        """Stop the cluster and remove what is left outside; see the contract."""
        if self._settled_phase(and_creators=True) is not None:
            # It may end between the question and this: then it is stopped.
            with suppress(control_socket.SupervisorAway):
                yield from control_socket.follow_request(
                    self._layout.supervisor_socket, {"verb": "stop"}, STOP_PATIENCE
                )
        self._await_end()
        # The anchor removes this file last, so it is there only after a crash. Sweeping needs root.
        if self._layout.state_file.exists():
            yield ProgressEvent("cluster.sweep", "started", "removing what a crash left behind")
            as_root(self.home, "--sweep")
            yield ProgressEvent("cluster.sweep", "done")

    def delete(self) -> Progress[None]:
        """Stop, and remove the state; see the contract."""
        yield from self.stop()
        if self._layout.record_file.exists():
            yield ProgressEvent("cluster.delete", "started", "forgetting the cluster's state")
            # Most of the state belongs to root; what is left after this is the user's own.
            as_root(self.home, "--sweep", "--delete")
            yield ProgressEvent("cluster.delete", "done")
        shutil.rmtree(self._layout.root, ignore_errors=True)
        self.kubeconfig.unlink(missing_ok=True)

    def _await_end(self) -> None:
        """Wait until the anchor has removed what is left; it holds the lock to its last moment."""
        end = time.monotonic() + STOP_PATIENCE
        while is_locked(self._layout.supervisor_lock) and time.monotonic() < end:
            time.sleep(0.02)

    def _died_error(self) -> C2DError:
        """Return the error for a supervisor that ended, with the end of its log."""
        log = tail_log(self._layout.log_file("supervisor"), 12)
        return StateProblem(
            "C2D-SUPERVISOR-DIED",
            f"The box's supervisor ended while the box was starting.\n{log}".rstrip(),
            "Start again with `c2d-box up`; it sweeps up first.",
        )

    # -- the supervisor ------------------------------------------------------------------------------------

    def _prepare_folder(self) -> None:
        """Make home and cluster folder, for the box's user, closed to everybody else (0700)."""
        for folder in (self.home.path, self._layout.root):
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as cause:
                raise EnvironmentProblem(
                    "C2D-HOME", f"{folder} cannot be made: {cause.strerror}.", "Choose another --home."
                ) from cause
        try:
            self._layout.root.chmod(0o700)
        except PermissionError as cause:
            raise control_socket.not_yours(self.home.path) from cause
        owner = invoking_user()
        # Under sudo the folders would be root's, and the next command without it would fail.
        if os.geteuid() == 0 and owner[0] != 0:
            os.chown(self.home.path, *owner)
            os.chown(self._layout.root, *owner)

    @contextmanager
    def _only_creator(self) -> Generator[None, None, None]:
        """Allow one ``create`` at a time; the second one's error names the first."""
        try:
            fd = os.open(self._layout.create_lock, os.O_RDWR | os.O_CREAT, 0o600)
        except PermissionError as cause:
            raise control_socket.not_yours(self.home.path) from cause
        # The lock file too, for the same reason.
        os.fchown(fd, *invoking_user())
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as cause:
            # Empty for a moment between taking the lock and writing the number.
            who = os.read(fd, 20).decode().strip() or "?"
            os.close(fd)
            command = command_of(int(who)) if who.isdigit() else "?"
            raise StateProblem(
                "C2D-UP-IN-PROGRESS",
                f"Process {who} is starting this box already: {command}",
                "Wait for it, or look at `c2d-box status`.",
            ) from cause
        try:
            os.ftruncate(fd, 0)
            os.pwrite(fd, str(os.getpid()).encode(), 0)
            self._held = fd
            yield
        finally:
            self._held = None
            os.close(fd)

    def _settled_phase(self, and_creators: bool = False) -> str | None:
        """Return the phase, once the box is in a stable one: waits for an anchor that does not answer yet, or
        no longer.

        With ``and_creators``, it also waits for a ``create`` that has not yet come to its anchor.
        """
        locks = [self._layout.supervisor_lock]
        if and_creators and self._held is None:
            # A `down` right after an `up` waits for it instead of finding nothing to stop.
            locks.append(self._layout.create_lock)
        end = time.monotonic() + STOP_PATIENCE
        while True:
            held = any(is_locked(lock) for lock in locks)
            phase = self._supervisor_phase()
            # A held lock without an answer is an anchor that comes or goes: its socket is there only in
            # between.
            if phase not in (None, "stopping") or not held or time.monotonic() > end:
                return phase
            time.sleep(0.05)

    def _supervisor_phase(self) -> str | None:
        """Return the phase that the supervisor reports; None where there is no supervisor."""
        try:
            return str(
                control_socket.ask_supervisor(self._layout.supervisor_socket, {"verb": "status"}, 10.0)[
                    "phase"
                ]
            )
        except control_socket.SupervisorAway:
            return None

    def _ask_supervisor(self, timeout: float = 30.0, **request: Any) -> Any:
        """Return the result of one request; raise ``C2D-NOT-RUNNING`` where nobody answers."""
        try:
            return control_socket.ask_supervisor(self._layout.supervisor_socket, request, timeout)
        except control_socket.SupervisorAway as cause:
            raise not_running_error() from cause

    # -- while it runs -------------------------------------------------------------------------------------

    def status(self) -> ClusterStatus:
        """Return the state; see the contract. It reads the socket or, for a dead box, the last state on
        disk.
        """
        living = holders(self._layout)
        pid = living[0].pid if living else None
        try:
            value = control_socket.ask_supervisor(self._layout.supervisor_socket, {"verb": "status"}, 10.0)
        except control_socket.SupervisorAway:
            absent: ClusterState = "stopped" if self._layout.record_file.exists() else "absent"
            return ClusterStatus(absent, self._last_words(), pid=pid)
        # The supervisor counts in its own process namespace; users look processes up in theirs.
        numbers = outer_numbers(living[-1].pid) if living else {}
        parts = tuple(
            ComponentStatus(**{**part, "pid": numbers.get(part["pid"])}) for part in value["components"]
        )
        state: ClusterState = value["phase"]
        if state == "running" and any(part.state != "ready" for part in parts):
            state = "degraded"
        detail = value["problem"]["message"] if value["problem"] else ""
        if value["isolation_off"]:
            detail = f"{NOT_ISOLATED} {detail}".strip()
        return ClusterStatus(state, parts, detail, pid)

    def _last_words(self) -> tuple[ComponentStatus, ...]:
        """Return the components as they were when the box was last seen, all stopped now."""
        try:
            values = json.loads(self._layout.components_file.read_text())
        except (OSError, ValueError):
            return ()
        return tuple(ComponentStatus(**{**value, "state": "stopped", "pid": None}) for value in values)

    def load_image(self, archive: Path) -> Progress[str]:
        """Have the supervisor import an archive; see the contract."""
        began = time.monotonic()
        yield ProgressEvent("cluster.image", "started", f"importing {archive.name}")
        # With this user's rights, and before root opens the file.
        read_archive(archive)
        digest = str(self._ask_supervisor(IMPORT_PATIENCE, verb="load-image", archive=str(archive.resolve())))
        yield ProgressEvent(
            "cluster.image", "done", f"{archive.name} is in the cluster", seconds=time.monotonic() - began
        )
        return digest

    def list_images(self) -> list[ClusterImage]:
        """Return the images on the node."""
        return [ClusterImage(**value) for value in self._ask_supervisor(verb="images")]

    def publish_ports(self, ports: Mapping[int, int]) -> None:
        """Have the forwarder listen on these ports; see the contract."""
        published = self._load_record().ports
        # Our own forwarder holds the others.
        host_ports.require_free([port for port in ports if port not in published])
        self._ask_supervisor(verb="publish", ports={str(host): node for host, node in ports.items()})

    def allow_endpoints(self, isolation: JobIsolation) -> None:
        """Have the supervisor put a new list of endpoints in force for the two routed job classes."""
        self._ask_supervisor(verb="allow", isolation=isolation.as_dict())

    def read_logs(self, component: str, lines: int = 200) -> str:
        path = self._layout.log_file(component)
        # The component is a user's word: no path out of the logs' folder.
        if "/" in component or not path.exists():
            known = ", ".join(sorted(log.stem for log in self._layout.logs_folder.glob("*.log")))
            raise UsageError(
                "C2D-NO-SUCH-COMPONENT",
                f"There is no log of '{component}'.",
                f"There are: {known or 'none'}.",
            )
        return tail_log(path, lines)

    def resource_usage(self) -> ResourceUsage:
        value = self._ask_supervisor(verb="resources")
        return ResourceUsage(value["pss_bytes"], value["by_process"])
