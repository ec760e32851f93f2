"""Explains how a job ended, in two sentences: why, and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping

from c2d_box.client.jobs import JobDetails

# Keyed by the job's final state (docs/job-states.md). ``{job}`` is put in later.
_STEPS: Mapping[int, tuple[str, str]] = {
    31: (
        "An input could not be brought to the job",
        "Ask the dataset's publisher whether the file is still there; the order stays good for another try.",
    ),
    32: (
        "The algorithm's files could not be brought to the job",
        "Ask the algorithm's publisher whether they are still there; the order stays good for another try.",
    ),
    75: (
        "The algorithm itself failed",
        "Read its log (c2d-box job logs {job}), correct it, permit the new version and start again.",
    ),
    76: (
        "The algorithm used more than it may",
        "Make it use less of what the reason names, or choose a bigger environment (c2d-box job {job}).",
    ),
    77: (
        "The algorithm ran, and what it wrote may not leave",
        "Let it write plain files within the limits named in the reason, and start again.",
    ),
    78: (
        "The algorithm was not started, because its network could not be proven closed",
        "The operator of the environment has to look: c2d-box status, c2d-box doctor.",
    ),
    79: (
        "The algorithm ran, and its results could not be published",
        "See whether result store and chain answer (c2d-box status) and start again.",
    ),
    80: (
        "The job waited for a place for too long",
        "Start it again later, or in another environment; the order stays good.",
    ),
    81: (
        "The job was lost to a failure of the cluster, and whether the algorithm ran is not certain",
        "Start it again; the order stays good (c2d-box status shows what failed).",
    ),
}


def explain_outcome(details: JobDetails) -> str:
    """Explain a job in two sentences, for the person who started it: why it ended, and what to do.

    A job that has not ended gets one sentence on where it is, and one on how to follow it.
    """
    job, reason = details.id, _one_sentence(details.reason)
    if not details.has_ended:
        return f"The job has not ended: {details.text or 'unknown'}. Follow it with: c2d-box job {job}."
    # A stopped job has succeeded too: what it wrote until then is published.
    if details.has_succeeded:
        stopped = {1: "It was stopped by its owner.", 2: "It reached its time limit."}
        first = stopped.get(details.stop_reason, "The job finished.")
        return f"{first} Fetch what it left: c2d-box results {job} --to ."
    # A Provider of another make may know states that are not in the table.
    what, step = _STEPS.get(details.status, ("The job did not finish", "Look at it: c2d-box job {job}."))
    return f"{what}{f': {reason}' if reason else '.'} {step.format(job=job)}"


def _one_sentence(reason: str) -> str:
    """Return the reason as one sentence: line breaks and inner ends of sentences would make it several."""
    text = " ".join(reason.split()).rstrip(".")
    return text.replace(". ", "; ") + "." if text else ""
