"""Shares one box among all processes of a test session.

Each process holds a shared lock on the box while it tests. The process that boots the box records that in a
file; the last one to release the lock, recognised by getting it exclusively, stops what was booted for the
tests.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager

from sandbox.box import Box
from sandbox.progress import run_verb
from sandbox.testing.telling import print_event
from sandbox.verbs.lifecycle.down import down
from sandbox.verbs.lifecycle.up import up


@contextmanager
def shared_box(box: Box, *, keep: bool) -> Iterator[Box]:
    """Yield the box, up. It is stopped after the last user, if a test session booted it and ``keep`` is not
    set.
    """
    box.home.path.mkdir(parents=True, exist_ok=True)
    booted = box.home.path / "booted-for-tests"
    with (box.home.path / "tests.lock").open("a") as lock:
        # Exclusive while the state is looked at: of workers that start together, one boots.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if box.cluster.status().state != "running":
            run_verb(up(box, yes=True), print_event)
            # A file, because the process that stops the box may be another one than the one that booted it.
            booted.touch()
        # The change releases the lock for a moment; whoever gets it then finds the box up.
        fcntl.flock(lock, fcntl.LOCK_SH)
        try:
            yield box
        finally:
            _leave_box(box, lock.fileno(), keep)


def _leave_box(box: Box, lock: int, keep: bool) -> None:
    """Stop the box if this was its last user and the tests booted it."""
    booted = box.home.path / "booted-for-tests"
    try:
        # Only the last user gets the lock exclusively. The kernel drops those of killed workers.
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return  # others still test
    if booted.exists():
        booted.unlink()
        if not keep:
            run_verb(down(box), print_event)
