"""A job of the Provider's API as screens show it: only worded, nothing is decided here.

The dashboard, the list, the job's own screen and the outputs all use this one view, so they say the same
about a job.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from c2d_box.workflow.states import State
from tui.widgets.live_table import TableRow
from tui.widgets.text import duration_text, one_line, short_id, utc_text

if TYPE_CHECKING:
    from c2d_box.client import JobDetails


@dataclass(frozen=True, slots=True)
class JobView:
    """The fields of a job that screens show; ``ended`` is 0 while the job runs. Texts are made safe for a
    terminal here.
    """

    id: str
    status: int
    text: str
    algorithm: str
    inputs: tuple[str, ...]
    created: float
    ended: float
    reason: str
    stopping: bool

    @classmethod
    def from_job(cls, job: JobDetails) -> JobView:
        """Return the view of a job. ``now`` is no part of it, so that an unchanged job has an equal view."""
        return cls(
            id=job.id,
            status=job.status,
            text=one_line(job.text).strip(),
            algorithm=job.algorithm,
            inputs=job.inputs,
            created=job.created,
            ended=job.ended,
            reason=job.reason,
            # A stop is only a wish until the engine has carried it out; the job still runs then.
            stopping=bool(job.stop_reason),
        )

    @property
    def is_running(self) -> bool:
        """True until the job has ended, also while it waits in the queue."""
        return not self.ended

    @property
    def state_tone(self) -> str:
        """The colour of the state: a job that runs, that has finished well, or that has not."""
        if self.is_running:
            return "warn"
        return "good" if self.status == State.FINISHED else "bad"

    @property
    def state_mark(self) -> str:
        """A sign for the state, which tells it without colours."""
        if self.is_running:
            return "▶"
        return "✓" if self.status == State.FINISHED else "✗"

    @property
    def state_text(self) -> str:
        """The state in the engine's words. A stop that was asked for is named until the job has ended."""
        return f"{self.text} (stopping)" if self.stopping and self.is_running else self.text

    def run_seconds(self, now: float) -> float:
        """Return the seconds from creation to the end, or to ``now``; never negative, should the
        clocks differ.
        """
        return max((self.ended or now) - self.created, 0.0)


def job_row(view: JobView, now: float, names: Mapping[str, str] | None = None) -> TableRow:
    """Return the job's row of the jobs table; ``names`` are names of assets by DID, as far as
    they are known.
    """
    known = names or {}
    inputs = " ".join(f"{did} {known.get(did, '')}" for did in view.inputs)
    cells = (
        f"{view.state_mark} {short_id(view.id)}",
        view.state_text,
        one_line(known.get(view.algorithm) or short_id(view.algorithm)),
        duration_text(view.run_seconds(now)),
        view.reason,
        utc_text(view.created),
    )
    # The filter also finds a job by the DIDs and names of its inputs, which have no column.
    return TableRow(view.id, cells, view.state_tone, f"{view.algorithm} {inputs}")
