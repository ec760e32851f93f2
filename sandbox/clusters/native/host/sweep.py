"""Removes what a box may have left on the machine after a crash. Idempotent; needs root.

Only things that are provably this box's: the recorded processes (id, start time and boot must agree), the
control groups and the link that carry its identity, loop devices whose backing file lies in its home.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from pathlib import Path

from sandbox.clusters.layout import ClusterLayout
from sandbox.clusters.native.host import cgroups, network
from sandbox.clusters.native.host.egress import close_egress
from sandbox.clusters.native.host.processes import ProcessIdentity

LOOP_CLEAR = 0x4C01
"""``LOOP_CLR_FD`` of <linux/loop.h>: detach the backing file."""


def holders(layout: ClusterLayout) -> list[ProcessIdentity]:
    """Return the recorded processes of the box that still live, the anchor first."""
    try:
        value = json.loads(layout.state_file.read_text())
        recorded = [ProcessIdentity.from_list(value[role]) for role in ("anchor", "init") if value.get(role)]
    except (OSError, ValueError, KeyError, IndexError):
        return []
    return [identity for identity in recorded if identity.is_alive()]


def remove_leftovers(layout: ClusterLayout, own_pid: int = 0) -> list[str]:
    """Remove every leftover; return what could not be removed.

    ``own_pid`` is the anchor that sweeps after itself: it stands in the state file too.
    """
    stubborn = []
    for identity in holders(layout):
        if identity.pid != own_pid and not identity.kill_process():
            stubborn.append(f"process {identity.pid}")
    # Processes first: everything below is held by one of them.
    stubborn += [str(folder) for folder in cgroups.remove_groups(layout.control_group)]
    end = time.monotonic() + 2.0
    while network.machine_link_exists(layout) and time.monotonic() < end:
        # The kernel removes it with the namespace of its other end, at a moment of its own.
        network.disconnect_machine(layout)
        time.sleep(0.01)
    if network.machine_link_exists(layout):
        stubborn.append(f"link {layout.host_link}")
    close_egress(layout)
    stubborn += _release_loops(layout)
    layout.supervisor_socket.unlink(missing_ok=True)
    # Last: as long as it is there, the next command knows that there may be something to sweep.
    layout.state_file.unlink(missing_ok=True)
    return stubborn


def _release_loops(layout: ClusterLayout) -> list[str]:
    """Release the loop devices of volumes: the mounts ended with the box, the devices may outlive them for a
    moment.
    """
    stubborn = []
    end = time.monotonic() + 2.0
    for device in Path("/sys/block").glob("loop*"):
        # Only files in this home: the machine's other loop devices are somebody else's.
        while _backing_file(device).startswith(f"{layout.home.path.resolve()}/"):
            try:
                fd = os.open(f"/dev/{device.name}", os.O_RDWR)
                try:
                    fcntl.ioctl(fd, LOOP_CLEAR)
                finally:
                    os.close(fd)
            except OSError:
                pass
            if time.monotonic() > end:
                stubborn.append(device.name)
                break
            time.sleep(0.02)
    return stubborn


def _backing_file(device: Path) -> str:
    """Return the path of a loop device's file; empty where none is attached."""
    try:
        return (device / "loop/backing_file").read_text().strip()
    except OSError:
        return ""
