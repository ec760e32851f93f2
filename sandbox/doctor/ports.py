"""Finds the process that holds a TCP port on this machine, from /proc and without other programs."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from sandbox.doctor.finding import Finding

LISTEN = "0A"
"""State of a listening socket in /proc/net/tcp (TCP_LISTEN)."""


@dataclass(frozen=True, slots=True)
class PortHolder:
    """A process that listens. Without the right to look, only the fact that somebody does."""

    port: int
    pid: int | None
    command: str

    def __str__(self) -> str:
        return f"{self.command} (pid {self.pid})" if self.pid else self.command


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Return whether a listener on ``host:port`` could be opened now."""
    with socket.socket() as probe:
        # As servers do: a port whose last connections are in TIME_WAIT counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def port_holder(port: int) -> PortHolder | None:
    """Return the process listening on ``port``, or None if there is none."""
    sockets = _listening_sockets(port)
    if not sockets:
        return None
    # The tables name a socket by its inode; a process has it among its descriptors.
    for process in Path("/proc").glob("[0-9]*"):
        if _holds_socket(process, sockets):
            return PortHolder(port, int(process.name), _command_line(process))
    return PortHolder(port, None, "a process of another user")


def check_ports(ports: Iterable[tuple[str, int]]) -> list[Finding]:
    """Return one finding per port that is taken, or one that says that all are free."""
    taken = [(name, port, port_holder(port)) for name, port in ports if not is_free(port)]
    if not taken:
        return [Finding("C2D-DOC-PORT", "ok", "ports", "all free")]
    return [
        Finding(
            "C2D-DOC-PORT",
            "problem",
            f"port {port}",
            f"wanted for {name}, held by {who or 'an unknown process'}",
            "stop it, or use other ports: c2d-box up --port-offset 100",
        )
        for name, port, who in taken
    ]


def _listening_sockets(port: int) -> set[str]:
    """Return the sockets that listen on ``port``, as links in /proc name them."""
    found = set()
    # A socket of IPv6 may serve IPv4 too and stands in the second table only.
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            # Fields: number, local address:port in hex, remote one, state; the tenth is the inode.
            if fields[3] == LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                found.add(f"socket:[{fields[9]}]")
    return found


def _holds_socket(process: Path, sockets: set[str]) -> bool:
    """Return whether a process has one of the sockets; False where its descriptors may not be read."""
    try:
        return any(str(entry.readlink()) in sockets for entry in (process / "fd").iterdir())
    except OSError:
        return False


def _command_line(process: Path) -> str:
    """Return the first words of a process' command line, for people."""
    try:
        words = (process / "cmdline").read_bytes().split(b"\0")
        # Three words tell programs apart; the rest of a command line may be long.
        return b" ".join(words[:3]).decode(errors="replace").strip() or process.name
    except OSError:
        return "a process"
