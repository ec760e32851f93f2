"""Starts, follows and collects compute jobs, for one of the box's accounts."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from c2d_box.client.results.decryption import decrypt_file, plain_name
from c2d_box.client.results.result_paths import result_paths
from c2d_box.errors import Failed, StateProblem, UsageError
from c2d_box.workflow.manifests import SEALED
from c2d_box.workflow.names import JOBS_NAMESPACE
from sandbox.box import Box
from sandbox.progress import Progress, ProgressEvent, run_step
from sandbox.verbs.compute.quotes import demand_algorithm_image
from sandbox.verbs.publishing.assets import short_did
from sandbox.verbs.sdk_connections import open_consumer

if TYPE_CHECKING:
    from c2d_box.client import Consumer, JobDetails, JobRequest

# Seconds between two questions to the Provider about a job that is followed.
POLL_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class FetchedResult:
    """A result that was saved on this machine."""

    path: Path
    type: str
    size: int


def start(box: Box, who: str, wanted: JobRequest) -> Progress[JobDetails]:
    """Check, order, pay and start a job. Everything that can be refused is refused before anything is paid.

    Raises the Provider's refusal (``Refused``), ``C2D-IMAGE-UNKNOWN`` where the node lacks the image, and a
    limit's refusal where the price exceeds ``wanted.spending``.
    """
    text = f"ordering and starting {short_did(str(wanted.algorithm))} on {short_did(wanted.dataset)}"
    with open_consumer(box, who) as party:
        # Asked of the node, before paying: the Provider does not know which images the node has.
        demand_algorithm_image(box, party, wanted)
        started = yield from run_step("job.start", text, lambda: party.start_job(wanted))
    return started.details


def list_jobs(box: Box, who: str) -> list[JobDetails]:
    """Return all jobs of an account."""
    with open_consumer(box, who) as party:
        return party.jobs()


def read_job(box: Box, who: str, job_id: str) -> JobDetails:
    """Return one job."""
    with open_consumer(box, who) as party:
        return party.get_job_details(job_id)


def follow(box: Box, who: str, job_id: str, timeout: float = 3600) -> Progress[JobDetails]:
    """Yield a note whenever the job's status text changes, until the job ends; return its last state.

    ``timeout`` is in seconds; raises ``C2D-JOB-SLOW`` after it. The job itself goes on then.
    """
    deadline, last, began = time.monotonic() + timeout, "", time.monotonic()
    with open_consumer(box, who) as party:
        while True:
            seen = party.get_job_details(job_id)
            if seen.text != last:
                yield ProgressEvent("job.stage", "note", f"  {time.monotonic() - began:5.1f} s  {seen.text}")
                last = seen.text
            if seen.has_ended:
                return seen
            if time.monotonic() > deadline:
                # Checked after the question, so that a job that ended at the last moment counts as ended.
                raise Failed("C2D-JOB-SLOW", f"job {job_id} is still {last}", f"c2d-box job {job_id}")
            time.sleep(POLL_SECONDS)


def stop_job(box: Box, who: str, job_id: str) -> Progress[JobDetails]:
    """Stop a job; what it wrote until then is judged and published. The answer may still be the state before
    the end.
    """
    with open_consumer(box, who) as party:
        yield from run_step("job.stop", f"stopping {job_id}", lambda: party.stop(job_id))
        return party.get_job_details(job_id)


def list_results(box: Box, who: str, job_id: str) -> list[Mapping[str, Any]]:
    """Return the results a job left: filename, filesize, type, index."""
    with open_consumer(box, who) as party:
        return party.results(job_id)


def fetch_results(
    box: Box, who: str, job_id: str, folder: Path, index: int | None = None
) -> Progress[list[FetchedResult]]:
    """Save results to ``folder`` through the Provider, which gives them to the job's owner only. ``index``
    None means all.

    File names are the algorithm's choice: :func:`result_paths` keeps each inside the folder and apart from
    the others.
    """
    with open_consumer(box, who) as party:
        listed = party.results(job_id)
        chosen = [item for item in listed if index is None or item["index"] == index]
        if not chosen:
            raise UsageError(
                "C2D-RESULT-NONE", f"job {job_id} has no such result", f"c2d-box results {job_id}"
            )
        # Paths come from the whole list, also for a single result: its path must not depend on which others
        # are fetched.
        place = result_paths(listed)
        fetched = []
        for item in chosen:
            fetched.append((yield from _fetch_result(party, job_id, item, folder / place[item["index"]])))
        return fetched


def _fetch_result(
    party: Consumer, job_id: str, item: Mapping[str, Any], path: Path
) -> Progress[FetchedResult]:
    path.parent.mkdir(parents=True, exist_ok=True)
    yield from run_step(
        f"result.{item['index']}",
        f"fetching {item['filename']}",
        lambda: party.download_result(job_id, item["index"], path),
    )
    return FetchedResult(path, str(item["type"]), path.stat().st_size)


def decrypt_result(box: Box, who: str, file: Path, target: Path | None = None) -> Path:
    """Decrypt a result that was encrypted for this account; ``target`` defaults to the name without its
    suffix for encrypted files.
    """
    if target is None:
        target = file.with_name(file.name.removesuffix(SEALED))
    # Never overwrite: beside the encrypted file may stand a file of that name which is somebody's work.
    if target.exists():
        raise UsageError("C2D-FILE-EXISTS", f"{target} is there already", "name another with --to")
    with open_consumer(box, who) as party:
        return decrypt_file(party.signer.key, file, target)


LOG_TYPES = {"algorithm": "algorithmLog", "configuration": "configrationLog", "publish": "publishLog"}
"""Result types in the wire format by kind of log; the second is spelt as Ocean's clients know it."""


def log_texts(box: Box, who: str, job_id: str, kind: str) -> dict[str, str]:
    """Return the logs among a job's results, by name. Raises ``C2D-LOG-NONE`` while there are none.

    ``kind`` is a key of ``LOG_TYPES``, or ``all``. Bytes that are no UTF-8 are replaced: an algorithm may
    print anything.
    """
    wanted = set(LOG_TYPES.values()) if kind == "all" else {LOG_TYPES[kind]}
    with open_consumer(box, who) as party:
        listed = [item for item in party.results(job_id) if item["type"] in wanted]
        if not listed:
            live = box.command_line(
                f"kubectl logs -n {JOBS_NAMESPACE} {job_id}-algorithm -c algorithm --follow"
            )
            raise StateProblem("C2D-LOG-NONE", f"job {job_id} has no such log yet", f"while it runs: {live}")
        texts = {plain_name(item): party.read_result(job_id, item["index"]) for item in listed}
    return {name: text.decode(errors="replace") for name, text in texts.items()}
