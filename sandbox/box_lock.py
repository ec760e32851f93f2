"""Lets one verb at a time change a box. The kernel frees the lock when its holder dies, however it dies."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from c2d_box.errors import StateProblem
from sandbox.home import BoxHome


@contextmanager
def hold_box_lock(home: BoxHome, verb: str) -> Iterator[None]:
    """Hold the box's lock while ``verb`` changes it; a second one gets an error that names the holder
    (``C2D-BOX-BUSY``).
    """
    home.path.mkdir(parents=True, exist_ok=True)
    # Not "w": opening must not erase the holder's line before this process knows that it got the lock.
    with (home.path / "lock").open("a+") as file:
        try:
            # Without waiting: a user should read who is busy, not look at a command that hangs.
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "another c2d-box"
            raise StateProblem(
                "C2D-BOX-BUSY",
                f"this box is being changed by {holder}",
                "wait for it, or end that process and run the command again",
            ) from None
        file.seek(0)
        file.truncate()
        file.write(f"c2d-box {verb} (pid {os.getpid()}, since {time.strftime('%H:%M:%S')})")
        file.flush()
        yield


def is_locked(path: Path) -> bool:
    """Return whether some process holds the lock; the lock is not kept.

    flock(2) needs no permission to write, so this works for a user on a lock file that belongs to root.
    """
    try:
        fd = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        # A shared lock fails only beside an exclusive one, so two processes that ask at once do not see each
        # other.
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False
