"""Records whether a selftest has passed on k3d on this machine: a file that marks the pass."""

from __future__ import annotations

from pathlib import Path

from c2d_box.files import replace_file
from sandbox.bundle.cache import BundleCache

UNVERIFIED = "k3d IS UNVERIFIED HERE: nobody has seen it hold. Run `c2d-box selftest` once the box is up."


def mark_file() -> Path:
    return BundleCache().root / "k3d-verified"


def is_verified() -> bool:
    return mark_file().exists()


def mark_verified() -> None:
    """Record that a selftest passed in which nothing got through."""
    replace_file(mark_file(), "a selftest passed on k3d\n")
