"""Checks the ports of 127.0.0.1 that the box wants to publish: whether they are free, and if not, who uses
them.
"""

from __future__ import annotations

import contextlib
import errno
import socket
from collections.abc import Container, Iterator
from pathlib import Path

from c2d_box.errors import EnvironmentProblem
from sandbox.clusters.native.host.processes import command_of

LISTENING = "0A"
"""State TCP_LISTEN in /proc/net/tcp."""


def require_free(ports: list[int]) -> None:
    """Raise ``C2D-PORT-TAKEN`` for the first of ``ports`` that is taken, with the program that has it."""
    for port in ports:
        if _is_taken(port):
            raise EnvironmentProblem(
                "C2D-PORT-TAKEN",
                f"Port {port} of 127.0.0.1 is taken by {port_owner(port)}.",
                "Stop that program, or give the box another port.",
                port=port,
            )


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        # A port whose last connection has just ended (TIME_WAIT) is free: the forwarder sets this too.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as problem:
            # A port below 1024 is refused to a user (EACCES); the forwarder is root and may have it.
            return problem.errno == errno.EADDRINUSE
    return False


def port_owner(port: int) -> str:
    """Return process id and command of the program that listens, as far as this user may see."""
    listeners = listening_sockets(port)
    if not listeners:
        return "an unknown process"
    if pid := find_process(listeners):
        return f"process {pid} ({command_of(pid)})"
    return f"a process of user {next(iter(listeners.values()))}"


def find_process(sockets: Container[str]) -> int | None:
    """Return the process that has one of ``sockets`` among its descriptors; None where it is another user's,
    whose descriptors cannot be read.
    """
    for folder in Path("/proc").glob("[0-9]*"):
        if any(target in sockets for target in _open_files(folder)):
            return int(folder.name)
    return None


def _open_files(process: Path) -> Iterator[str]:
    """Yield the targets of a process's descriptors, as far as this user may read them."""
    with contextlib.suppress(OSError):
        for entry in (process / "fd").iterdir():
            with contextlib.suppress(OSError):
                yield str(entry.readlink())


def listening_sockets(port: int) -> dict[str, str]:
    """Return the sockets that listen on ``port``, as links in /proc name them, each with its user id."""
    found = {}
    # A listener on [::] takes the IPv4 port as well and stands in the second table only.
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            # Fields: number, local address:port in hex, remote one, state; the eighth is the user.
            if fields[3] == LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                found[f"socket:[{fields[9]}]"] = fields[7]
    return found
