"""Runs a script dry: on this machine, with the folders and variables a job's pod gives it, and no box.

It is a plain process of the user's: nothing isolates it, so it is for one's own scripts. It shows whether the
script finds its inputs, writes its outputs, and whether the job's own judge would let them leave. It runs
with this machine's Python and packages, not with the image's, and says so.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from c2d_box.errors import Failed, UsageError
from c2d_box.limits import OUTPUT_FILES
from c2d_box.pods.judge.__main__ import examine_outputs
from c2d_box.pods.judge.outputs import Limits, OutputsVerdict
from sandbox.defaults import ENTRYPOINT
from sandbox.progress import Progress, ProgressEvent, run_step

SECONDS = 300
"""Longest dry run in seconds; a job in the box may take longer."""
LAST = 12
"""Lines of the log, and refused files, that are shown."""
JUDGED = Limits(OUTPUT_FILES, 2 << 30, 10 << 20)
"""Limits on the outputs of a job in the default environment."""


@dataclass(frozen=True, slots=True)
class DryRun:
    """The result of a dry run: what the script left in ``folder``, and its output. ``refused``: path and
    reason of what would make a job withhold all outputs; the first ones of ``refused_count``.
    """

    folder: Path
    outputs: tuple[Path, ...]
    log: str
    seconds: float
    refused: tuple[tuple[str, str], ...] = ()
    refused_count: int = 0


def dry_run(
    script: Path, data: Sequence[Path], folder: Path, entrypoint: str = ENTRYPOINT
) -> Progress[DryRun]:
    """Run ``script`` on local files; its outputs land in ``folder``.

    Raises ``C2D-TRY-FAILED`` with the last lines of its log when it does not end with 0, and
    ``C2D-TRY-SILENT`` when it wrote no output.
    """
    # Before anything is copied, so that the message names the user's own path.
    for path in (script, *data):
        if not path.is_file():
            raise UsageError("C2D-RUN-NO-FILE", f"{path} is not a file", "give the path of a file")
    with tempfile.TemporaryDirectory(prefix="c2d-try-") as scratch:
        root = Path(scratch)
        # A temporary volume, as in a job: the script never sees the originals and cannot change them.
        environment = _lay_out_volume(root, script, data)
        yield ProgressEvent("try", "note", "with this machine's packages: the image may lack some of them")
        began = ProgressEvent("try", "started")
        done = yield from run_step(
            "try",
            f"running {script.name} on {', '.join(path.name for path in data)}, on this desk",
            lambda: _run_script(entrypoint, environment),
        )
        # Shown before the exit code is looked at: the last lines are what explains a failure.
        for line in done.stdout.splitlines()[-LAST:]:
            yield ProgressEvent("try", "note", f"  │ {line}")
        written = sorted(_plain_files(root / "outputs"))
        if done.returncode != 0:
            raise Failed(
                "C2D-TRY-FAILED",
                f"{script.name} ended with {done.returncode} in the dry run",
                "correct it and try again: nothing was published",
                log=done.stdout.splitlines()[-LAST:],
            )
        # The judge that every job's outputs go through, so both refuse the same files.
        verdict = examine_outputs(root, JUDGED)
        yield from _warn_refusals(verdict)
        # A script that writes beside $OUTPUTS ends well, and its job would have no result.
        if not written and not verdict.refused:
            raise Failed(
                "C2D-TRY-SILENT",
                f"{script.name} wrote nothing to $OUTPUTS",
                "a job's results are the files below $OUTPUTS; write one",
            )
        # Copied while the temporary folder still exists.
        kept = _keep_outputs(written, root / "outputs", folder)
    # Events carry the time at which they were made; these two serve as a clock.
    seconds = ProgressEvent("try", "done").at - began.at
    refused = tuple((entry.path, entry.reason) for entry in verdict.refused)
    return DryRun(folder, tuple(kept), done.stdout, seconds, refused, verdict.refused_count)


def _plain_files(folder: Path) -> Iterator[Path]:
    """Yield plain files. The target of a link is not the script's output, and a job would refuse the link."""
    return (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def _warn_refusals(verdict: OutputsVerdict) -> Progress[None]:
    """Warn of what a job would refuse: found out in the job, it costs the whole run."""
    if not verdict.refused_count:
        return
    yield ProgressEvent(
        "try", "note", f"! a job would refuse all outputs, because of {verdict.refused_count}:"
    )
    for entry in verdict.refused[:LAST]:
        yield ProgressEvent("try", "note", f"!   {entry.path}: {entry.reason}")


def _lay_out_volume(root: Path, script: Path, data: Sequence[Path]) -> dict[str, str]:
    """Make a job's volume below ``root``; return the variables that the script gets, and no others: a job
    does not have the user's environment either.
    """
    # Made up: a dry run has no published assets, and the script must not depend on a DID.
    dids = [f"{position:064x}" for position in range(1, len(data) + 1)]
    for did, path in zip(dids, data, strict=True):
        place = root / "inputs" / did
        place.mkdir(parents=True)
        # Inputs have the number of the file in their asset for a name (Ocean's convention).
        shutil.copy(path, place / "0")
    # The other folders of a job's volume.
    for name in ("outputs", "logs", "transformations", "ddos", "scratch"):
        (root / name).mkdir()
    shutil.copy(script, root / "transformations" / "algorithm")
    return {
        # The first python3 is the one that runs c2d-box.
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        # Settings in the user's home must not decide what the script does.
        "HOME": str(root),
        "DIDS": json.dumps(dids),
        "TRANSFORMATION_DID": "f" * 64,
        "VOLUME": str(root),
        "INPUTS": str(root / "inputs"),
        "OUTPUTS": str(root / "outputs"),
        "LOGS": str(root / "logs"),
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def _run_script(entrypoint: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run the entrypoint to its end; raise where its program is missing or the time is up."""
    place = f"{environment['VOLUME']}/transformations/algorithm"
    # Without a shell: a line that needs one behaves otherwise here than in a job.
    # ``$ALGO`` is Ocean's placeholder for the script; quoted, as its path may hold blanks.
    words = shlex.split(entrypoint.replace("$ALGO", shlex.quote(place)))
    try:
        return subprocess.run(
            words,
            env=environment,
            cwd=f"{environment['VOLUME']}/scratch",  # nothing is left where the command was called
            stdout=subprocess.PIPE,
            # One stream, as in a job's log.
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            errors="replace",
            timeout=SECONDS,
            check=False,
        )
    except FileNotFoundError as cause:
        raise UsageError(
            "C2D-TRY-NO-PROGRAM",
            f"this machine has no {words[0]}",
            "install it, or run it in the box: leave --dry out",
        ) from cause
    except subprocess.TimeoutExpired as cause:
        raise Failed(
            "C2D-TRY-SLOW", f"the dry run did not end within {SECONDS} s", "try it on less data"
        ) from cause


def _keep_outputs(written: list[Path], outputs: Path, folder: Path) -> list[Path]:
    """Copy the outputs to ``folder``, with their folders; return the copies."""
    kept = []
    for path in written:
        target = folder / path.relative_to(outputs)
        # Outputs may lie in folders; earlier ones of the same name are written over.
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
        kept.append(target)
    return kept
