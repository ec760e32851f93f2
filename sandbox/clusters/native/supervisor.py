"""``python -m sandbox.clusters.native.supervisor --home H``: the one part of the box that needs root.

This process becomes the anchor (see the package's text): takes the lock, sweeps leftovers, makes the
namespaces, starts process 1 in them, connects the machine's end of the link, and when the inside has ended,
removes what is left outside. It answers its caller with one JSON line on standard output: ``{"ok": true}`` or
``{"error": …}``.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import fcntl
import json
import os
import shutil
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any, NoReturn

from c2d_box.errors import C2DError, Failed, StateProblem
from c2d_box.files import replace_private_file
from sandbox.bundle.build_dependencies import SEARCH
from sandbox.clusters.driver_record import require_record
from sandbox.clusters.layout import ClusterLayout
from sandbox.clusters.native.host import cgroups, mount_namespace, network, syscalls
from sandbox.clusters.native.host.egress import open_egress
from sandbox.clusters.native.host.processes import ProcessIdentity
from sandbox.clusters.native.host.sweep import remove_leftovers
from sandbox.clusters.native.record import NativeRecord
from sandbox.clusters.native.supervision import control_socket
from sandbox.clusters.native.supervision.node_supervisor import HostHandles, NodeSupervisor, write_files
from sandbox.home import BoxHome

GO = b"g"
"""The one byte that goes through the pipes between anchor and process 1; an end of file instead means
"died".
"""


def main() -> None:
    """Run as the launcher: sweep, and either report that or fork the anchor."""
    parser = argparse.ArgumentParser(prog="c2d-box supervisor")
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--sweep", action="store_true", help="only remove what a crash left behind")
    parser.add_argument("--delete", action="store_true", help="with --sweep: remove the state as well")
    options = parser.parse_args()
    # root's path may be a user's
    os.environ["PATH"] = SEARCH
    try:
        record, layout = _load_record(options.home)
        lock = _take_lock(layout)
        # Under the lock: what is found now belongs to no living box.
        stubborn = remove_leftovers(layout)
        # State of a box whose processes still run would be written again behind this.
        if options.delete and not stubborn:
            shutil.rmtree(layout.root)
        if stubborn:
            raise Failed(
                "C2D-LEFTOVERS", f"Could not remove: {', '.join(stubborn)}.", "Try again; at worst, reboot."
            )
        if options.sweep:
            _print_report({"ok": True})
            return
        _fork_daemon(layout, record, lock)
    except C2DError as problem:
        _print_report({"error": control_socket.error_value(problem)})
        sys.exit(problem.exit_status)


def _load_record(home: Path) -> tuple[NativeRecord, ClusterLayout]:
    """Return the record in ``home``, and the layout that follows from its name."""
    folder = BoxHome(home)
    record = require_record(NativeRecord.load_from(folder.cluster_folder / "cluster.json"), home)
    return record, ClusterLayout(folder, record.name)


def _take_lock(layout: ClusterLayout) -> int:
    """Take the lock, held by the anchor for its whole life, and by nobody after it: children do not inherit
    it.
    """
    # Readable for the user, whose commands ask whether it is locked.
    fd = os.open(layout.supervisor_lock, os.O_RDONLY | os.O_CREAT, 0o644)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as cause:
        raise StateProblem(
            "C2D-SUPERVISOR-RUNNING",
            "This box already has a supervisor.",
            "Wait a moment, then look at `c2d-box status`.",
        ) from cause
    return fd


def _print_report(value: dict[str, Any]) -> None:
    """Write the one line that the caller reads."""
    print(json.dumps(value), flush=True)


def _fork_daemon(layout: ClusterLayout, record: NativeRecord, lock: int) -> None:
    """Fork; the parent passes on the anchor's first message and exits.

    The lock goes on with the child: a lock of flock(2) lives as long as any copy of its descriptor.
    """
    sys.stdout.flush()
    reader, writer = os.pipe()
    if os.fork():
        os.close(writer)
        os.close(lock)
        with os.fdopen(reader) as stream:
            line = stream.readline()
        # The pipe also ends when the last process that could write to it is dead.
        value: dict[str, Any] = json.loads(line) if line else _silent_death(layout)
        _print_report(value)
        sys.exit(0 if "ok" in value else int(value["error"]["exit_status"]))
    # A daemon: no terminal, no working directory that could not be unmounted, no inherited descriptors.
    _close_all_but(lock, writer)
    os.setsid()
    os.chdir("/")
    os.umask(0o022)
    layout.logs_folder.mkdir(parents=True, exist_ok=True)
    log = os.open(layout.log_file("supervisor"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    nothing = os.open("/dev/null", os.O_RDONLY)
    for number, source in ((0, nothing), (1, log), (2, log)):
        os.dup2(source, number)
    _be_anchor(layout, record, writer)


def _close_all_but(*kept: int) -> None:
    """Close every other descriptor, above all the creator's lock, which the launcher holds for it until the
    anchor has taken over.
    """
    for entry in Path("/proc/self/fd").iterdir():
        if int(entry.name) > 2 and int(entry.name) not in kept:
            with contextlib.suppress(OSError):
                os.close(int(entry.name))


def _silent_death(layout: ClusterLayout) -> dict[str, Any]:
    """Return the report for an anchor that ended before it wrote one."""
    problem = Failed(
        "C2D-SUPERVISOR-DIED",
        "The supervisor ended before it could say why.",
        f"Look at {layout.log_file('supervisor')}.",
    )
    return {"error": control_socket.error_value(problem)}


def _be_anchor(layout: ClusterLayout, record: NativeRecord, launcher: int) -> NoReturn:
    """Run as the anchor until the end of the box."""
    status = 1
    before: dict[Path, str] = {}
    try:
        # Entered before anything is started, so that every process of the box is in the groups.
        cgroups.create_groups(layout.control_group)
        before = cgroups.enter_group(layout.control_group)
        init = _start_inside(layout, record, launcher)
        # A stop by signal is handed down; the supervisor ends the components in their order.
        signal.signal(signal.SIGTERM, lambda *_: os.kill(init, signal.SIGTERM))
        _, status = os.waitpid(init, 0)
    except C2DError as problem:
        os.write(launcher, control_socket.encode_line({"error": control_socket.error_value(problem)}))
    except BaseException:
        traceback.print_exc()
    finally:
        # Out again first: the groups cannot be removed with this process in them.
        cgroups.leave_group(before)
        remove_leftovers(layout, os.getpid())
    # Not sys.exit: this is a forked child, whose handlers and buffers belong to the parent.
    os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


def _start_inside(layout: ClusterLayout, record: NativeRecord, launcher: int) -> int:
    """Start process 1 of the box in namespaces of its own, connected to the machine; return its id."""
    # Handles of the machine, opened while this process can still see it; process 1 inherits them.
    home_numbers = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
    machine = os.open("/proc", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    place = HostHandles(
        os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC),
        Path(f"/proc/self/fd/{machine}/{os.getpid()}"),
    )
    # Two pipes: process 1 says that its network exists, the anchor that the link into it does.
    told, tell = os.pipe()
    heard, hear = os.pipe()
    # Takes effect for children only: the next fork becomes process 1.
    syscalls.unshare_namespaces(syscalls.CLONE_NEWPID)
    init = os.fork()
    if init == 0:
        _be_init(layout, record, launcher, place, told, hear)
    # Back again: `ip` and `nft`, started below, must not become processes of the box, and could not be
    # started at all once its process 1 is dead.
    syscalls.set_namespace(home_numbers, syscalls.CLONE_NEWPID)
    os.close(home_numbers)
    os.close(told)
    os.close(hear)
    identities = {"anchor": ProcessIdentity.of_pid(os.getpid()), "init": ProcessIdentity.of_pid(init)}
    value = {role: identity.as_list() for role, identity in identities.items() if identity}
    # Before the link exists: from here on a sweep knows whom to look for.
    replace_private_file(layout.state_file, json.dumps(value), record.owner)
    try:
        # Empty when process 1 died: its error is on the way to the caller already.
        if os.read(heard, 1) == GO:
            network.connect_machine(layout, record.address_ranges, init)
            if record.options.egress:
                open_egress(layout, record.address_ranges)
            os.write(tell, GO)
    except BaseException:
        # Half connected is not connected; with process 1 everything inside ends.
        os.kill(init, signal.SIGKILL)
        os.waitpid(init, 0)
        raise
    finally:
        os.close(tell)
        os.close(heard)
        os.close(launcher)
    return init


def _be_init(
    layout: ClusterLayout, record: NativeRecord, launcher: int, place: HostHandles, told: int, hear: int
) -> NoReturn:
    """Run as process 1: it dies with the anchor, takes everything with it, and reaps orphans in between."""
    # The kernel keeps this promise also where the anchor is killed.
    syscalls.die_with_parent(signal.SIGKILL)
    try:
        syscalls.unshare_namespaces(syscalls.CLONE_NEWNS | syscalls.CLONE_NEWNET)
        # Now there is a network namespace into which the anchor can move the link's other end.
        os.write(hear, GO)
        mount_namespace.prepare_mounts(layout, record)
        # Before any link: "default" applies to links made afterwards.
        network.prepare_parameters(ports_talk=record.options.isolation_off)
        write_files(layout, record)
        # Certificates and files were written meanwhile, which takes longer than the link.
        if os.read(told, 1) != GO:
            os._exit(1)
        network.build_node(record.address_ranges)
        if record.options.egress:
            network.allow_egress(record.address_ranges)
        # A process below: process 1 must reap orphans at any moment, and ignores signals it has no handler
        # for.
        supervisor = os.fork()
    except C2DError as problem:
        os.write(launcher, control_socket.encode_line({"error": control_socket.error_value(problem)}))
        os._exit(1)
    except BaseException as problem:
        traceback.print_exc()
        failed = control_socket.unforeseen_error(problem, layout.log_file("supervisor"))
        os.write(launcher, control_socket.encode_line({"error": control_socket.error_value(failed)}))
        os._exit(1)
    if supervisor == 0:
        _be_supervisor(layout, record, launcher, place)
    os.close(launcher)
    signal.signal(signal.SIGTERM, lambda *_: os.kill(supervisor, signal.SIGTERM))
    while True:
        # Orphans of the whole namespace arrive here: shims, pods' processes, whatever loses its parent.
        pid, status = os.wait()
        if pid == supervisor:
            os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


def _be_supervisor(
    layout: ClusterLayout, record: NativeRecord, launcher: int, place: HostHandles
) -> NoReturn:
    """Run the supervisor until the box is stopped."""

    def serving() -> None:
        # Only now: the caller connects to the socket as soon as it reads this.
        os.write(launcher, control_socket.encode_line({"ok": True}))
        os.close(launcher)

    print(f"{time.strftime('%FT%TZ', time.gmtime())} starting", flush=True)
    try:
        asyncio.run(NodeSupervisor(layout, record, place).run_until_stopped(serving))
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


if __name__ == "__main__":
    main()
