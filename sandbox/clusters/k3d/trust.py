"""Records whether a selftest has passed on k3d on this machine: a file that marks the pass.

``up --cluster auto`` chooses k3d only after that, and an unverified k3d says so at each ``up``
(docs/adr/0006-kind-and-k3d-commands.md).
"""

from __future__ import annotations

from pathlib import Path

from c2d_box.files import replace_file
from sandbox.bundle.cache import BundleCache

UNVERIFIED = "k3d IS UNVERIFIED HERE: nobody has seen it hold. Run `c2d-box selftest` once the box is up."


def mark_file() -> Path:
    """Return the mark's path. It lies beside the bundles, not in a box: the finding is about this machine's
    k3d and outlives any box.
    """
    return BundleCache().root / "k3d-verified"


def is_verified() -> bool:
    """Return whether a selftest has passed on k3d on this machine."""
    return mark_file().exists()


def mark_verified() -> None:
    """Record that a selftest passed in which nothing got through."""
    replace_file(mark_file(), "a selftest passed on k3d\n")
