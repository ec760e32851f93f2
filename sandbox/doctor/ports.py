"""Who holds a TCP port on this machine."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from sandbox.doctor.finding import Finding

LISTEN = "0A"


@dataclass(frozen=True, slots=True)
class PortHolder:
    """A process that listens; without the right to look, only that somebody does."""

    port: int
    pid: int | None
    command: str

    def __str__(self) -> str:
        return f"{self.command} (pid {self.pid})" if self.pid else self.command


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a listener on ``host:port`` could be opened now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def port_holder(port: int) -> PortHolder | None:
    """The process listening on ``port``, or None if there is none."""
    sockets = _listening_sockets(port)
    if not sockets:
        return None
    for process in Path("/proc").glob("[0-9]*"):
        if _holds_socket(process, sockets):
            return PortHolder(port, int(process.name), _command_line(process))
    return PortHolder(port, None, "a process of another user")


def check_ports(ports: Iterable[tuple[str, int]]) -> list[Finding]:
    """One finding per port that is taken; one that all is well otherwise."""
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
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                found.add(f"socket:[{fields[9]}]")
    return found


def _holds_socket(process: Path, sockets: set[str]) -> bool:
    try:
        return any(str(entry.readlink()) in sockets for entry in (process / "fd").iterdir())
    except OSError:
        return False


def _command_line(process: Path) -> str:
    try:
        words = (process / "cmdline").read_bytes().split(b"\0")
        return b" ".join(words[:3]).decode(errors="replace").strip() or process.name
    except OSError:
        return "a process"
