"""Actions on a job: stop it, run it again, save its results.

The list of jobs and the screen of one job offer the same actions, so they are made here once. Each is
confirmed in a dialog that names its effects.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tui.actions.action import UserAction
from tui.screens.jobs.view import JobView

if TYPE_CHECKING:
    from tui.runtime.app_port import AppPort


def stop_job(app: AppPort, job: JobView) -> None:
    """Confirm, then stop the job; an ended job only gets a notice."""
    if not job.is_running:
        app.notify(f"{job.id[:8]} has ended: {job.text}", timeout=3, markup=False)
        return
    who = app.consumer
    app.perform_action(
        UserAction(
            title=f"Stop job {job.id}?",
            command=app.command_line(f"stop {job.id}"),
            verb=lambda _ask: app.source.stop_job(who, job.id),
            effects=("what the algorithm wrote until now is judged and published",),
            losses=("the computation so far beyond what it wrote", "the time that was paid for"),
            proceed="Stop the job",
            pokes=("jobs",),
        )
    )


def repeat_job(app: AppPort, job: JobView) -> None:
    """Confirm, then start the same algorithm on the same datasets again. A raw algorithm has no DID to start
    it by.
    """
    if not job.inputs or not job.algorithm.startswith("did:"):
        app.notify("a job with a raw algorithm is started by the SDK only", timeout=3)
        return
    from c2d_box.client import JobRequest

    source, who, names = app.source, app.consumer, app.feeds.asset_names
    # The first input is the job's dataset; the others are additional ones.
    wanted = JobRequest(job.inputs[0], job.algorithm, job.inputs[1:])
    app.perform_action(
        UserAction(
            title=f"Run {names.get(job.algorithm, job.algorithm)} again?",
            command=app.command_line(wanted.command_line()),
            # Without a spending limit: no price was shown here. The confirmation says that an order may be
            # due.
            verb=lambda _ask: source.start_job(who, wanted),
            effects=(
                f"on {', '.join(names.get(did, did) for did in job.inputs)}, as they are now",
                f"an order that still covers it is used again; {app.key_of('launch')} shows the price",
            ),
            losses=("what an order costs, where none covers it any more",),
            proceed="Order and start",
            pokes=("jobs", "accounts"),
            done=app.note_started,
        )
    )


def save_action(app: AppPort, job_id: str, index: int | None = None) -> UserAction:
    """Return the action that fetches results into a folder named after the job, below the
    working directory.
    """
    # The same folder as ``c2d-box run`` uses by default.
    folder = Path("c2d-results") / job_id[:8]
    chosen = "" if index is None else f" {index}"
    source, who = app.source, app.consumer
    return UserAction(
        title=f"Save {'the results' if index is None else f'result {index}'} of job {job_id[:8]}?",
        command=app.command_line(f"results {job_id}{chosen} --to {folder}"),
        verb=lambda _ask: source.fetch_results(who, job_id, folder, index),
        effects=(f"fetched through the Provider into ./{folder}",),
        losses=(f"what files of the same name in ./{folder} hold now",) if folder.exists() else (),
        proceed="Save",
    )
