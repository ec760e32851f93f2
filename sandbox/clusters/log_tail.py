"""Reads the end of a log, which an error quotes.

A module of its own, since the part of a command that needs no root imports it. That part rests on the
standard library alone, so that any Python of the machine can run it.
"""

from __future__ import annotations

import os
from pathlib import Path


def tail_log(path: Path, lines: int) -> str:
    """Return the last ``lines`` lines of a log, at most 64 KiB of it."""
    try:
        with path.open("rb") as stream:
            stream.seek(0, os.SEEK_END)
            # A log may have megabytes; an error quotes its end.
            stream.seek(max(0, stream.tell() - 65536))
            return "\n".join(stream.read().decode(errors="replace").splitlines()[-lines:])
    except FileNotFoundError:
        return ""
