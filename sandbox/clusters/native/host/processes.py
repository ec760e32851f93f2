"""Identifies processes: numbers are reused, a number with its start time in a boot is not."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path


def boot_id() -> str:
    """Return the id of this boot: start times count from it and repeat in the next."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """The identity of a process that stays valid after it ended: its id, its start time (clock ticks), and
    its boot.
    """

    pid: int
    started: int
    boot: str

    @classmethod
    def of_pid(cls, pid: int) -> ProcessIdentity | None:
        """Return the identity of a process that runs; None where there is none of this number."""
        started = _start_time(pid)
        return None if started is None else cls(pid, started, boot_id())

    @classmethod
    def from_list(cls, value: list[object]) -> ProcessIdentity:
        """Return the identity of the form that the state file has."""
        return cls(int(str(value[0])), int(str(value[1])), str(value[2]))

    def as_list(self) -> list[object]:
        """Return the form in which the state file has it."""
        return [self.pid, self.started, self.boot]

    def is_alive(self) -> bool:
        """Return whether this very process still runs; one that got its number later does not count."""
        return self.boot == boot_id() and _start_time(self.pid) == self.started

    def kill_process(self, patience: float = 5.0) -> bool:
        """Send SIGKILL and wait for the end; return False when the process outlives ``patience`` seconds."""
        end = time.monotonic() + patience
        while self.is_alive():
            try:
                os.kill(self.pid, signal.SIGKILL)
            except ProcessLookupError:
                return True
            if time.monotonic() > end:
                return False
            time.sleep(0.01)
        return True


def _start_time(pid: int) -> int | None:
    """Return field 22 of ``/proc/<pid>/stat``; None for a process that has ended (zombies count as ended)."""
    try:
        # The name in parentheses may hold blanks and parentheses itself, so the last one is looked for
        # (proc(5)).
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in ("Z", "X") else int(fields[19])


def command_of(pid: int) -> str:
    """Return a process's command line, for messages; "?" where it cannot be read."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return "?"
    return " ".join(word.decode(errors="replace") for word in words if word) or "?"


def outer_numbers(ancestor: int) -> dict[int, int]:
    """Map process ids of the namespace that ``ancestor`` is number 1 of: number inside → number on this
    machine.

    Needs no privilege: it follows parents from ``ancestor`` down and reads each one's ``NSpid``.
    """
    parents: dict[int, int] = {}
    inner: dict[int, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            text = (folder / "status").read_text()
        except OSError:
            continue
        fields = dict(line.partition(":")[::2] for line in text.splitlines())
        numbers = fields.get("NSpid", "").split()
        parents[int(folder.name)] = int(fields["PPid"])
        if len(numbers) >= 2:
            # The second number is the one in the box's namespace; a pod's process has a third.
            inner[int(folder.name)] = int(numbers[1])
    return {inside: pid for pid, inside in inner.items() if _is_descendant(pid, ancestor, parents)}


def _is_descendant(pid: int, ancestor: int, parents: dict[int, int]) -> bool:
    """Return whether ``ancestor`` is above ``pid``. Another box's processes have numbers inside too."""
    while pid > 1:
        if pid == ancestor:
            return True
        pid = parents.get(pid, 0)
    return False
