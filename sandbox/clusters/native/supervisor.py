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


def main() -> None:
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
        stubborn = remove_leftovers(layout)
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
    folder = BoxHome(home)
    record = NativeRecord.load_from(folder.cluster_folder / "cluster.json")
    if record is None:
        raise StateProblem(
            "C2D-NO-CLUSTER", f"There is no cluster in {home}.", "Create it with `c2d-box up`."
        )
    return record, ClusterLayout(folder, record.name)


def _take_lock(layout: ClusterLayout) -> int:
    """Take the lock, held by the anchor for its whole life, and by nobody after it: children do not inherit
    it.
    """
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
    print(json.dumps(value), flush=True)


def _fork_daemon(layout: ClusterLayout, record: NativeRecord, lock: int) -> None:
    """Fork; the parent passes on the anchor's first message and exits."""
    sys.stdout.flush()
    reader, writer = os.pipe()
    if os.fork():
        os.close(writer)
        os.close(lock)
        with os.fdopen(reader) as stream:
            line = stream.readline()
        value: dict[str, Any] = json.loads(line) if line else _silent_death(layout)
        _print_report(value)
        sys.exit(0 if "ok" in value else int(value["error"]["exit_status"]))
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
        cgroups.create_groups(layout.control_group)
        before = cgroups.enter_group(layout.control_group)
        init = _start_inside(layout, record, launcher)
        signal.signal(signal.SIGTERM, lambda *_: os.kill(init, signal.SIGTERM))
        _, status = os.waitpid(init, 0)
    except C2DError as problem:
        os.write(launcher, control_socket.encode_line({"error": control_socket.error_value(problem)}))
    except BaseException:
        traceback.print_exc()
    finally:
        cgroups.leave_group(before)
        remove_leftovers(layout, os.getpid())
    os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


def _start_inside(layout: ClusterLayout, record: NativeRecord, launcher: int) -> int:
    """Start process 1 of the box in namespaces of its own, connected to the machine; return its id."""
    home_numbers = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
    machine = os.open("/proc", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    place = HostHandles(
        os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC),
        Path(f"/proc/self/fd/{machine}/{os.getpid()}"),
    )
    told, tell = os.pipe()
    heard, hear = os.pipe()
    syscalls.unshare_namespaces(syscalls.CLONE_NEWPID)
    init = os.fork()
    if init == 0:
        _be_init(layout, record, launcher, place, told, hear)
    syscalls.set_namespace(home_numbers, syscalls.CLONE_NEWPID)
    os.close(home_numbers)
    os.close(told)
    os.close(hear)
    identities = {"anchor": ProcessIdentity.of_pid(os.getpid()), "init": ProcessIdentity.of_pid(init)}
    value = {role: identity.as_list() for role, identity in identities.items() if identity}
    replace_private_file(layout.state_file, json.dumps(value), record.owner)
    try:
        if os.read(heard, 1) == GO:
            network.connect_machine(layout, record.address_ranges, init)
            if record.options.egress:
                open_egress(layout, record.address_ranges)
            os.write(tell, GO)
    except BaseException:
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
    syscalls.die_with_parent(signal.SIGKILL)
    try:
        syscalls.unshare_namespaces(syscalls.CLONE_NEWNS | syscalls.CLONE_NEWNET)
        os.write(hear, GO)
        mount_namespace.prepare_mounts(layout, record)
        network.prepare_parameters(ports_talk=record.options.isolation_off)
        write_files(layout, record)
        if os.read(told, 1) != GO:
            os._exit(1)
        network.build_node(record.address_ranges)
        if record.options.egress:
            network.allow_egress(record.address_ranges)
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
        pid, status = os.wait()
        if pid == supervisor:
            os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


def _be_supervisor(
    layout: ClusterLayout, record: NativeRecord, launcher: int, place: HostHandles
) -> NoReturn:
    def serving() -> None:
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
