"""Memory of a process, from ``/proc``."""

from __future__ import annotations

from pathlib import Path


def memory_mib(pid: int, name: str) -> float:
    """Return ``VmRSS`` or ``VmHWM`` (the peak) in MiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1]) / 1024


def resident_mib(pid: int) -> float:
    return memory_mib(pid, "VmRSS")
