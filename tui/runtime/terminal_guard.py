"""Restores the terminal, however the TUI ends.

On SIGTERM or SIGHUP the application leaves as if ``q`` had been pressed. After SIGKILL it can do nothing, so
its parent, a process that only waits, restores the terminal in its place; if the parent is killed, the
application gets SIGTERM. Where the terminal itself is gone, an application may wait for ever to write to it:
then its parent kills it after ``GRACE`` seconds. The box consists of other processes: none of this touches
it.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import termios
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from textual.app import App

# SIGHUP comes when the terminal window is closed.
ASKED = (signal.SIGTERM, signal.SIGHUP)
RESET = (
    "\x1b[?1049l\x1b[?25h\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?1004l\x1b[?2004l\x1b[<u\x1b[0m\r\n"
)
"""Escape sequences: leave the alternate screen, cursor on; mouse, focus, paste and key reports off."""
# From ``linux/prctl.h``; Python has no name for it.
PR_SET_PDEATHSIG = 1
GRACE = 5
"""Seconds that an application has to end after it was asked to; then it is killed."""


def leave_when_asked(app: App[None]) -> None:
    """Let SIGTERM and SIGHUP exit the application; call it while the application's loop runs."""
    import asyncio

    loop = asyncio.get_running_loop()
    for number in ASKED:
        # asyncio sets signal handlers in the main thread of a Unix process only.
        with suppress(NotImplementedError, RuntimeError, ValueError):
            loop.add_signal_handler(number, lambda number=number: app.exit(return_code=128 + number))  # type: ignore[misc]


def run_guarded(show: Callable[[], int]) -> int:
    """Run ``show`` in a child process, restore the terminal if it was killed, and return its exit status.

    The child holds the screens, as a process cannot clean up after its own SIGKILL. The parent does nothing
    but wait. A child ended by a signal counts as 128 plus the signal's number, as in a shell.
    """
    # Taken before Textual switches the terminal to raw mode.
    before = termios.tcgetattr(sys.stdin)
    # A signal that comes before its handler is set would end the guard and leave the terminal as it is.
    signal.pthread_sigmask(signal.SIG_BLOCK, ASKED)
    child = os.fork()
    if child == 0:
        # The mask is inherited by the child, which would otherwise never see a SIGTERM.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ASKED)
        # If the parent is killed, nobody could restore the terminal later: the kernel then asks the child to
        # leave.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        # Not ``sys.exit``: exit handlers and open files of the parent must not run twice.
        os._exit(_child_status(show))

    def ask(asked: int, _frame: object) -> None:
        os.kill(child, asked)
        # A child that blocks in a write to a vanished terminal never handles the request; SIGALRM then kills
        # it.
        signal.alarm(GRACE)

    for number in ASKED:
        signal.signal(number, ask)
    signal.signal(signal.SIGALRM, lambda _alarm, _frame: os.kill(child, signal.SIGKILL))
    # Ctrl-C reaches the whole foreground process group; it is the child's to handle, and must not end the
    # guard.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ASKED)
    _pid, ended = os.waitpid(child, 0)
    status = os.waitstatus_to_exitcode(ended)
    if status < 0:
        # The terminal itself may be gone.
        with suppress(OSError, termios.error):
            termios.tcsetattr(sys.stdin, termios.TCSANOW, before)
            os.write(sys.stdout.fileno(), RESET.encode())
    return 128 - status if status < 0 else status


def _child_status(show: Callable[[], int]) -> int:
    """Return the exit status of ``show``. Flushes the streams, because ``os._exit`` does not."""
    try:
        return show()
    except SystemExit as leave:
        return leave.code if isinstance(leave.code, int) else 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
