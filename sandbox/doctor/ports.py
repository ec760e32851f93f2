"""Finds the process that holds a TCP port on this machine, from /proc and without other programs."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from sandbox.clusters.native.host.host_ports import find_process, listening_sockets
from sandbox.doctor.finding import Finding


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
    sockets = listening_sockets(port)
    if not sockets:
        return None
    pid = find_process(sockets)
    return PortHolder(port, pid, _command_line(Path(f"/proc/{pid}")) if pid else "a process of another user")


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


def _command_line(process: Path) -> str:
    """Return the first words of a process' command line, for people."""
    try:
        words = (process / "cmdline").read_bytes().split(b"\0")
        # Three words tell programs apart; the rest of a command line may be long.
        return b" ".join(words[:3]).decode(errors="replace").strip() or process.name
    except OSError:
        return "a process"
