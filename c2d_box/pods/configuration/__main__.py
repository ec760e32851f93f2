"""``python -m c2d_box.pods.configuration``: stages a job's inputs and algorithm, then tells engine and
warden.

The marker for the warden is written only after the engine has recorded the success: from then on the
algorithm may run, and the engine must know. Started again after that, this program does nothing.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TextIO

from c2d_box.files import replace_file
from c2d_box.pods import alive, engine
from c2d_box.pods.configuration import fetching
from c2d_box.pods.configuration.layout import CarriedFile, GrantedFile, NotLaidOut, VolumeLayout, lay_out
from c2d_box.workflow import names

PARALLEL = 4
"""Files fetched at the same time, each with a buffer of its own in the container's 256 MiB."""
ALIVE_SECONDS = 30.0
"""Seconds for which the engine, which has just answered, is dialled before the warden goes without a positive
control."""


class StageJournal:
    """The stage's log: on stdout while it runs, in the admin logs for later. A full disk does not end it."""

    def __init__(self, path: Path) -> None:
        self._file: TextIO | None = None
        try:
            self._file = path.open("a", encoding="utf-8")
        except OSError as error:
            print(f"the log file cannot be written: {error.strerror}")

    def write_line(self, text: str) -> None:
        """Write one line, stamped in UTC. The consumer reads it: no address and no token belongs into it."""
        stamped = f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} {text}"
        print(stamped, flush=True)
        if self._file is not None:
            try:
                self._file.write(stamped + "\n")
                self._file.flush()
            except OSError:
                # A full volume is the job's own failure and is reported as such; the log still goes to
                # stdout.
                self.close()

    def close(self) -> None:
        """Close the file. Closing again does no harm, and an error is nobody's to act on."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
            self._file = None


def main() -> int:
    # The algorithm reads the inputs as a member of the job's group; nobody outside of it may.
    """Stage the inputs once, and return the exit status: 0 where the engine has the outcome, 1 where it does
    not."""
    os.umask(0o027)
    # The kubelet may start the container again. The inputs must not change once the algorithm may be running
    # on them.
    if Path(names.STAGED_MARKER).exists():
        return 0
    with contextlib.closing(StageJournal(Path(names.CONFIGURE_LOG))) as journal:
        return _stage_and_report(engine.from_environment("configuration"), journal)


def _stage_and_report(reporter: engine.EngineClient, journal: StageJournal) -> int:
    """Stage, report, and only then release the warden. The order matters: were the marker first, an engine
    that missed the report could take the job for unstaged while its algorithm runs."""
    job = json.loads(Path(names.JOB_FILE).read_text())
    granted = Path(names.GRANTS_FILE)
    # The Secret is optional: a job with its own code and without inputs has no grants.
    grants = json.loads(granted.read_text()) if granted.exists() else {}
    outcome = stage_inputs(job, grants, Path(names.DATA), journal, reporter.deadline)
    try:
        answer = reporter.send_report(outcome)
    except engine.GivenUp as reason:
        journal.write_line(f"the outcome could not be reported: {reason}")
        return 1
    # The control comes before the marker, because the warden reads it as soon as the marker is there. The
    # engine's answer names the pod that may run: it decides which of two counts.
    if outcome["status"] == 30:
        alive.write_alive(Path(names.ALIVE_FILE), alive.dial_hosts([reporter.url], ALIVE_SECONDS))
        _write_marker(Path(names.STAGED_MARKER), str(answer.get("algorithm", "")))
    return 0


def stage_inputs(
    job: dict[str, Any], grants: dict[str, Any], data: Path, journal: StageJournal, deadline: float
) -> dict[str, Any]:
    """Stage everything; return the report: status 30, 31 or 32, the reason, the files with their hashes."""
    try:
        layout = lay_out(job, grants, data)
        _write_all(layout)
    except NotLaidOut as problem:
        journal.write_line(problem.reason)
        return {"status": problem.status, "reason": problem.reason}
    except OSError as error:
        reason = f"The job's volume cannot be written: {error.strerror}."
        journal.write_line(reason)
        return {"status": 31, "reason": reason}
    return _fetch_all(layout.fetches, grants.get("provider") or "", journal, deadline)


def _fetch_all(
    fetches: tuple[GrantedFile, ...], provider: str, journal: StageJournal, deadline: float
) -> dict[str, Any]:
    """Fetch the granted files and return the report. All of them are tried even where one failed, so that
    the log names every missing file at once; the report names the first in the job's own order."""
    failures: list[tuple[GrantedFile, str]] = []
    files: list[dict[str, Any]] = []

    def get(fetch: GrantedFile) -> None:
        began = time.monotonic()
        try:
            fetched = fetching.fetch_file(provider, fetch.token, fetch.target, deadline)
        except fetching.FetchFailed as cause:
            # Lists take appends of several threads without a lock.
            failures.append((fetch, str(cause)))
            journal.write_line(f"{fetch.title}: failed, {cause}")
            return
        # An entrypoint may name the file itself as the program to run.
        if fetch.kind == "algorithm" and fetch.index is not None:
            fetch.target.chmod(0o755)
        seconds = time.monotonic() - began
        journal.write_line(f"{fetch.title}: {fetched.size} bytes in {seconds:.2f} s, sha256 {fetched.sha256}")
        # A DDO, which has no index, is no part of the record of staged files.
        if fetch.index is not None:
            files.append(
                {"did": fetch.did, "index": fetch.index, "size": fetched.size, "sha256": fetched.sha256}
            )

    # A pool costs a thread; most jobs have one file.
    if len(fetches) == 1:
        get(fetches[0])
    elif fetches:
        with ThreadPoolExecutor(PARALLEL) as pool:
            list(pool.map(get, fetches))
    if failures:
        # Threads fail in any order, and a repeated job should give the same reason.
        fetch, cause = min(failures, key=lambda failure: fetches.index(failure[0]))
        return {"status": fetch.failure_status, "reason": f"{fetch.title}: {cause}."}
    journal.write_line("all inputs and the algorithm are in place")
    # Sorted, because the record of the same inputs has to have the same hash.
    return {"status": 30, "files": sorted(files, key=lambda file: (file["did"], file["index"]))}


def _write_all(layout: VolumeLayout) -> None:
    """Create folders and carried files. Both may exist already, where the container was started again."""
    for folder in layout.folders:
        folder.mkdir(mode=0o750, parents=True, exist_ok=True)
    for write in layout.writes:
        _write_file(write)


def _write_file(write: CarriedFile) -> None:
    write.target.write_bytes(write.content)
    # After the write: the umask takes bits away from the mode at creation.
    write.target.chmod(0o755 if write.executable else 0o640)


def _write_marker(marker: Path, algorithm: str) -> None:
    """Write the warden's marker, whole or not at all: the warden must never see half of it. It names the one
    pod that may run the algorithm (``algorithm``: its uid), so that a second one, however it came to be,
    waits for ever."""
    replace_file(marker, f"{algorithm}\n")


if __name__ == "__main__":
    sys.exit(main())
