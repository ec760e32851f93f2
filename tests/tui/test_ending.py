"""However the TUI is ended, the terminal is as before: line mode, echo, the usual screen."""

from __future__ import annotations

import os
import pty
import select
import signal
import sys
import termios
import time
from pathlib import Path

import pytest

PAINTED, LEFT = b"c2d-box", b"\x1b[?1049l"
PATIENCE = 60.0


def _until(file: int, words: bytes) -> bytes:
    seen, began = b"", time.monotonic()
    while words not in seen:
        assert time.monotonic() - began < PATIENCE, seen[-300:]
        if select.select([file], [], [], 0.1)[0]:
            seen += os.read(file, 65536)
    return seen


def _child(pid: int) -> int:
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


STUCK = """
import signal, time
from tui.runtime.terminal_guard import run_guarded
def show():
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    print("stuck", flush=True)
    time.sleep(3600)
run_guarded(show)
"""


def test_one_that_cannot_end_is_ended() -> None:
    """As where the terminal is gone: it waits for ever to write, and its signals with it."""
    pid, keeper = pty.fork()
    if pid == 0:
        os.execv(sys.executable, [sys.executable, "-c", STUCK])
    try:
        _until(keeper, b"stuck")
        application = _child(pid)
        os.kill(pid, signal.SIGHUP)
        deadline = time.monotonic() + PATIENCE
        while not os.waitpid(pid, os.WNOHANG)[0]:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        with pytest.raises(ProcessLookupError):
            os.kill(application, 0)
    finally:
        os.close(keeper)


@pytest.mark.parametrize("whom", ["the waiting process", "the application"])
@pytest.mark.parametrize("way", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_a_killed_tui_gives_the_terminal_back(tmp_path: Path, way: signal.Signals, whom: str) -> None:
    keeper, file = pty.openpty()
    before = termios.tcgetattr(file)
    pid = os.fork()
    if pid == 0:
        os.setsid()
        for target in (0, 1, 2):
            os.dup2(file, target)
        home = {**os.environ, "TERM": "xterm-256color", "XDG_STATE_HOME": str(tmp_path), "COLUMNS": "100"}
        program = [sys.executable, "-m", "sandbox.cli", "--home", str(tmp_path / "none"), "tui"]
        os.execve(sys.executable, program, home)
    try:
        _until(keeper, PAINTED)
        assert termios.tcgetattr(file)[3] != before[3]
        os.kill(pid if whom == "the waiting process" else _child(pid), way)
        _until(keeper, LEFT)
        os.waitpid(pid, 0)
        deadline = time.monotonic() + PATIENCE
        while termios.tcgetattr(file)[3] != before[3] and time.monotonic() < deadline:
            time.sleep(0.05)
        assert termios.tcgetattr(file)[3] == before[3]
    finally:
        os.close(file)
        os.close(keeper)


HURRIED = """
import os, signal, time
from tui.runtime import terminal_guard
fork = os.fork
def fork_and_be_asked():
    child = fork()
    if child:  # the signal that comes in this very moment
        os.kill(os.getpid(), signal.SIGHUP)
    return child
os.fork = fork_and_be_asked
print("ended with", terminal_guard.run_guarded(lambda: time.sleep(3600)), flush=True)
"""


def test_a_signal_right_after_the_fork_does_not_end_the_guard() -> None:
    pid, keeper = pty.fork()
    if pid == 0:
        os.execv(sys.executable, [sys.executable, "-c", HURRIED])
    try:
        assert b"ended with 129" in _until(keeper, b"ended with 129")
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    finally:
        os.close(keeper)
