"""``jobs``: lists jobs with the names of what they compute, and chooses some of them.

The Provider lists the jobs of one owner and knows DIDs only. Names, states in the user's words and all
other filters are made here, for the command line and for scripts alike.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from c2d_box.errors import C2DError
from c2d_box.workflow.states import State
from sandbox.box import Box
from sandbox.verbs.accounts import ACCOUNTS
from sandbox.verbs.compute.jobs import list_jobs
from sandbox.verbs.publishing.asset_heads import list_asset_heads

if TYPE_CHECKING:
    from c2d_box.client import JobDetails

JOB_STATES = ("waiting", "running", "finished", "failed", "stopped")
"""States as users choose by; a job stopped by its owner or at its time limit is not finished."""
EVERYBODY = "all"
"""The word for the jobs of all accounts of the box."""


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs to list; an empty field admits all."""

    states: tuple[str, ...] = ()
    assets: tuple[str, ...] = ()
    """DIDs, of datasets or algorithms: a job with any of them."""
    text: str = ""
    """Part of an id, status, reason, or name of an asset, without case."""
    since: float = 0.0
    """Seconds since 1970; jobs made before it are left out."""


@dataclass(frozen=True, slots=True)
class ListedJob:
    """A job with the names of its algorithm and its data; a DID where a name is not known."""

    details: JobDetails
    state: str
    algorithm: str
    data: tuple[str, ...]

    @property
    def wire(self) -> Mapping[str, object]:
        """Return the Provider's object, which ``--json`` prints."""
        return self.details.wire


def choose_jobs(box: Box, owners: Sequence[str], wanted: JobFilter) -> list[ListedJob]:
    """Return the jobs of these accounts that the filter admits, newest first. ``owners``: roles, indexes or
    addresses; ``all`` for each account of the box.
    """
    accounts = [str(index) for index in range(ACCOUNTS)] if EVERYBODY in owners else owners
    # By id: two names may mean one account.
    found = {job.id: job for who in accounts for job in list_jobs(box, who)}
    # Without jobs there is nothing to name, and a search of the cache is saved.
    names = _asset_names(box) if found else {}
    listed = [_listed_job(job, names) for job in found.values()]
    # A job without a creation time is one that has just been accepted: it counts as the newest.
    listed.sort(key=lambda job: job.details.created or math.inf, reverse=True)
    return [job for job in listed if _is_admitted(job, wanted)]


def job_state(job: JobDetails) -> str:
    """Return one of ``JOB_STATES``."""
    if not job.has_ended:
        # A job that is being prepared waits as well: none of its code has run.
        return "running" if job.status >= State.RUNNING else "waiting"
    # Before success: a stopped job may have results and still is not what was asked for.
    if job.stop_reason:
        return "stopped"
    return "finished" if job.has_succeeded else "failed"


def _listed_job(job: JobDetails, names: Mapping[str, str]) -> ListedJob:
    """Return the job with names in place of DIDs as far as they are known."""
    data = tuple(names.get(did) or did for did in job.inputs)
    return ListedJob(job, job_state(job), names.get(job.algorithm) or job.algorithm, data)


def _is_admitted(job: ListedJob, wanted: JobFilter) -> bool:
    """Return whether the job meets every field of the filter that is not empty."""
    details = job.details
    # Everything that a row of the table shows, so that a search finds what the user sees.
    words = " ".join((details.id, details.text, details.reason, job.state, job.algorithm, *job.data))
    return (
        (not wanted.states or job.state in wanted.states)
        and (not wanted.assets or bool({details.algorithm, *details.inputs} & set(wanted.assets)))
        and wanted.text.casefold() in words.casefold()
        and (details.created or math.inf) >= wanted.since
    )


def _asset_names(box: Box) -> Mapping[str, str]:
    """Return names by DID; none where the metadata cache is away: jobs are listed without it too."""
    try:
        return {head.did: head.name for head in list_asset_heads(box)}
    except C2DError:
        return {}
