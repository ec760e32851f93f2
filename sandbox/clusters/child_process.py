"""Runs other projects' programs so that they do not outlive the command that started them."""

from __future__ import annotations

import ctypes
import signal
import sys
from collections.abc import Callable

_SET_PARENT_DEATH_SIGNAL = 1
"""``PR_SET_PDEATHSIG`` of prctl(2)."""


def dying_with_parent() -> Callable[[], None] | None:
    """Return a function for ``preexec_fn``: the kernel kills the child when its parent ends, however that
    ends (Linux only).

    To the kernel the parent is the thread that forked (prctl(2)), not the process: start the child in a
    thread that outlives it.
    """
    # Elsewhere the child is left behind by a killed command; the next sweep finds what it made.
    return _ask_for_it if sys.platform == "linux" else None


def _ask_for_it() -> None:
    # SIGKILL cannot be caught, so no child can decide to stay.
    ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
