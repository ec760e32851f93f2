"""Keeps the interpreter's recursion limit where Python puts it.

py_ecc and py-evm raise it to 100,000 for the whole process when they are imported, and web3 and eth_account
import py_ecc. Above some 50,000 levels the C stack ends before the limit does, and what should be a
RecursionError is a segmentation fault.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_IMPORTING = threading.RLock()
"""Held during imports that change the limit; reentrant, because such an import may nest."""
_RAISING = threading.Lock()
"""Guards the two numbers below."""
_raised = 0
"""Computations that need the raised limit at this moment."""
_usual = 0
"""The limit from before the first of them."""


@contextmanager
def kept_recursion_limit() -> Iterator[None]:
    """Put the recursion limit back after the import of a library that changes it.

    Threads take turns: a second one that entered meanwhile would take the limit that the first one's library
    has set for the usual one, and put that back.
    """
    with _IMPORTING:
        before = sys.getrecursionlimit()
        try:
            yield
        finally:
            sys.setrecursionlimit(before)


@contextmanager
def raised_recursion_limit(limit: int) -> Iterator[None]:
    """Raise the recursion limit while a computation runs that needs it, on a thread with a stack for it.

    The limit belongs to the whole interpreter: of several computations the one that ends last puts it back.
    """
    global _raised, _usual
    with _RAISING:
        if _raised == 0:
            _usual = sys.getrecursionlimit()
            # Never lowered: code further up the stack may already be deeper.
            sys.setrecursionlimit(max(limit, _usual))
        _raised += 1
    try:
        yield
    finally:
        with _RAISING:
            _raised -= 1
            if _raised == 0:
                sys.setrecursionlimit(_usual)
