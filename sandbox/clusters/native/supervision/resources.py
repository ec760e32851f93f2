"""Measures what a running box costs: the proportional set size of every process in its process namespace."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def measure_memory(anchor: Path) -> dict[str, Any]:
    """Return bytes of PSS, in total and by process name, of the box and its ``anchor`` outside; pages shared
    between processes are counted once.

    The caller must be root in the box's process namespace: /proc there lists the box's processes, and no
    others.
    """
    by_process: dict[str, int] = {}
    for folder in (*Path("/proc").glob("[0-9]*"), anchor):
        size = _pss_bytes(folder)
        if size:
            # Summed by name: one shim per pod is of interest as a whole.
            name = _process_name(folder)
            by_process[name] = by_process.get(name, 0) + size
    return {"pss_bytes": sum(by_process.values()), "by_process": by_process}


def _pss_bytes(folder: Path) -> int:
    """Return a process's proportional set size; 0 for one that has ended or has no memory (kernel
    threads).
    """
    try:
        for line in (folder / "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def _process_name(folder: Path) -> str:
    """Return the program's name as it was called: one file holds all of Kubernetes."""
    try:
        first = (folder / "cmdline").read_bytes().split(b"\0")[0].decode(errors="replace")
    except OSError:
        return "?"
    return Path(first).name or "?"
