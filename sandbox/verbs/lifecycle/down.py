"""``down`` stops the box and keeps its state; ``reset`` deletes the state too. Nothing of the box runs
afterwards.
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from sandbox.box import Box
from sandbox.box_lock import hold_box_lock
from sandbox.progress import Progress, ProgressEvent
from sandbox.run_memory import loop_memory


@dataclass(frozen=True, slots=True)
class ResetLosses:
    """The data that ``reset`` is about to delete, in words a user can weigh."""

    home: Path
    bytes: int
    forgotten: tuple[str, ...]
    kept: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DownReport:
    """The box that was stopped, and whether its state was kept."""

    name: str
    home: Path
    kept: bool


def down(box: Box) -> Progress[DownReport]:
    """Stop every process of the box; its state stays. Idempotent."""
    if not box.home.path.exists():
        yield ProgressEvent("box.down", "skipped", "there is no box here")
        return DownReport(box.name, box.home.path, kept=False)
    with hold_box_lock(box.home, "down"):
        yield from box.cluster.stop()
    return DownReport(box.name, box.home.path, kept=True)


def reset_losses(box: Box, *, everything: bool) -> ResetLosses:
    """Return what a reset would cost. Changes nothing."""
    forgotten = ["the cluster with every job and its history", "the test chain: assets, orders, balances"]
    forgotten += ["results in IPFS", "objects in S3", "imported algorithm images"]
    kept = ["the bundle in the cache"]
    identity = ["the box's keys", "its name and ports"]
    if box.home.declaration_file.exists():
        identity.append(f"its box file, {box.home.declaration_file}")
    (forgotten if everything else kept).extend(identity)
    return ResetLosses(box.home.path, _disk_usage(box.home.path), tuple(forgotten), tuple(kept))


def reset(box: Box, *, everything: bool) -> Progress[DownReport]:
    """Stop the box and delete its state. With ``everything`` the home itself is gone afterwards, with keys,
    name and ports.
    """
    if not box.home.path.exists():
        yield ProgressEvent("box.reset", "skipped", "there is no box here")
        return DownReport(box.name, box.home.path, kept=False)
    with hold_box_lock(box.home, "reset"):
        # The cluster first: if deleting it fails, the files that describe it are still there for another try.
        yield from box.cluster.delete()
        for path in (
            box.home.address_file,
            box.home.kubeconfig,
            box.home.seed_file,
            box.home.baseline_file,
        ):
            path.unlink(missing_ok=True)
        # ``run`` remembers assets by DID, and a new chain hands the same DIDs out again (ADR 0042).
        loop_memory(box.home).forget_all()
        if everything:
            yield ProgressEvent("box.reset", "started", f"forgetting {box.home.path}")
            shutil.rmtree(box.home.path)
            yield ProgressEvent("box.reset", "done", f"forgot {box.home.path}")
    return DownReport(box.name, box.home.path, kept=False)


def _disk_usage(folder: Path) -> int:
    """Return the bytes on disk, as far as the user may read; ``du`` counts a hundred thousand files faster
    than Python could.
    """
    counted = subprocess.run(
        ["du", "--summarize", "--block-size=1", str(folder)], capture_output=True, text=True, check=False
    )
    return int(counted.stdout.split()[0]) if counted.stdout else 0
