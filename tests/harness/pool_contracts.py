"""The compiled contracts of the release with pools, on this machine: installed by the bundle's own lock file
and kept in the user's cache under the lock's hash. In a box they are part of the image.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import tempfile
import threading
from pathlib import Path

from sandbox.bundle.commands import CommandRunner
from sandbox.bundle.parts.recipe import RECIPES, machine_architecture
from sandbox.bundle.parts.wheel_layers import install_wheels

_LOCK = RECIPES / "wheels" / "pool-contracts.lock"
_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "c2d-box-clients"


def pool_contracts() -> Path:
    """Return the release's folder ``artifacts``, which the chain's setting ``poolContracts`` names."""
    target = _CACHE / f"pool-contracts-{hashlib.sha256(_LOCK.read_bytes()).hexdigest()[:16]}"
    _CACHE.mkdir(parents=True, exist_ok=True)
    with (_CACHE / "lock").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        if not target.is_dir():
            with tempfile.TemporaryDirectory(dir=_CACHE) as scratch:
                fresh = Path(scratch) / "fresh"
                commands = CommandRunner("pool-contracts", Path(scratch) / "log", threading.Event())
                install_wheels(_LOCK, fresh, commands, Path(scratch), machine_architecture())
                fresh.rename(target)
    return target / "artifacts"
