"""``new algorithm``: makes a folder with a script that runs and a sample input, and runs it dry once.

The template writes its outputs as a job expects them, so a user starts from a script that works and changes
one thing at a time.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from c2d_box.errors import UsageError
from sandbox.loop.trying import DryRun, dry_run
from sandbox.progress import Progress, run_step

TEMPLATE = Path(__file__).parent / "template"
"""Folder that is copied: a script and a sample of data."""
SCRIPT, SAMPLE = "algorithm.py", "sample.csv"


@dataclass(frozen=True, slots=True)
class CreatedAlgorithm:
    """The new algorithm, and what its dry run wrote."""

    folder: Path
    script: Path
    sample: Path
    tried: DryRun


def new_algorithm(name: str, into: Path | None = None) -> Progress[CreatedAlgorithm]:
    """Make the folder ``name`` below ``into`` and dry-run the script in it. Never writes over anything.

    The dry run shows at once that the script works on this machine, before there is a box.
    """
    folder = (into or Path()) / name
    # One plain folder name: no path, nothing hidden, nothing that another command takes for an option.
    if not name or name != Path(name).name or name.startswith((".", "-")):
        raise UsageError("C2D-NEW-NAME", f"{name or '…'} is no name for an algorithm", "give a plain name")
    # Also an empty folder: it may be somebody's, and ``copytree`` wants to make its own.
    if folder.exists():
        raise UsageError("C2D-NEW-EXISTS", f"{folder} is already there", "choose another name")
    yield from run_step("new.files", f"writing {folder}", lambda: shutil.copytree(TEMPLATE, folder))
    script, sample = folder / SCRIPT, folder / SAMPLE
    tried = yield from dry_run(script, [sample], folder / "outputs")
    return CreatedAlgorithm(folder, script, sample, tried)
