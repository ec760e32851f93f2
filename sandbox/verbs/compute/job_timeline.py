"""Turns a job's timestamps into durations: how long each stage took, and how much was not the algorithm."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from c2d_box.client import JobDetails

ENDS = {
    "admitted": "waiting for a place",
    "bound": "making the job's volume",
    "created": "writing down the intent",
    "staged": "starting pods, fetching data and algorithm",
    "started": "proving that no way leads out",
    "exited": "the algorithm itself",
    "ended": "Kubernetes confirms its end",
    "judged": "judging the outputs",
    "uploaded": "storing results and logs",
    "finished": "recording the end",
    "cleaned": "deleting data, algorithm, pods",
}
"""The stage that ends at each timestamp, in the order of the timestamps."""


def seconds_by_stage(job: JobDetails) -> dict[str, float]:
    """Return seconds by stage; a timestamp that a job does not have makes its stage part of the next one.

    A stage whose end lies before its beginning, as by a corrected clock, counts as 0.
    """
    times = _phase_times(job)
    before = times.get("accepted", min(times.values(), default=0.0))
    found: dict[str, float] = {}
    for moment, text in ENDS.items():
        if moment in times:
            found[text] = max(times[moment] - before, 0.0)
            # Never backwards, or the next stage would be counted twice.
            before = max(before, times[moment])
    return found


def job_overhead(job: JobDetails) -> float | None:
    """Return the seconds from accepted to results listed, less the algorithm's own run; None for a job
    without results.

    Where ``accepted`` or ``started`` is missing, the nearest timestamp that exists stands in.
    """
    times = _phase_times(job)
    if "finished" not in times or "exited" not in times:
        return None
    accepted = times.get("accepted", times.get("admitted", times["finished"]))
    ran = times["exited"] - times.get("started", times.get("staged", times["exited"]))
    return times["finished"] - accepted - max(ran, 0.0)


def _phase_times(job: JobDetails) -> dict[str, float]:
    """Return the job's timestamps; the creation time stands in for ``accepted`` where that is missing."""
    return {**({"accepted": job.created} if job.created else {}), **job.times}
