"""A job of the Provider's API as screens show it: only worded, nothing is decided here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from c2d_box.workflow.states import State
from tui.backend.port import Job
from tui.widgets.live_table import Row
from tui.widgets.text import lasting, moment, one_line, short


@dataclass(frozen=True, slots=True)
class JobView:
    """The fields of a job that screens show; ``ended`` is 0 while the job runs."""

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
    def of(cls, job: Job) -> JobView:
        inputs = job.get("inputDID") or []
        return cls(
            id=str(job["jobId"]),
            status=int(job["status"]),
            text=one_line(job.get("statusText") or "").strip(),
            algorithm=str(job.get("algoDID") or ""),
            inputs=tuple(map(str, [inputs] if isinstance(inputs, str) else inputs)),
            created=float(job.get("dateCreated") or 0),
            ended=float(job.get("dateFinished") or 0),
            reason=str(job.get("reason") or ""),
            stopping=bool(job.get("stopreq")),
        )

    @property
    def running(self) -> bool:
        return not self.ended

    @property
    def tone(self) -> str:
        if self.running:
            return "warn"
        return "good" if self.status == State.FINISHED else "bad"

    @property
    def mark(self) -> str:
        if self.running:
            return "▶"
        return "✓" if self.status == State.FINISHED else "✗"

    @property
    def state(self) -> str:
        return f"{self.text} (stopping)" if self.stopping and self.running else self.text

    def took(self, now: float) -> float:
        return max((self.ended or now) - self.created, 0.0)


def row(view: JobView, now: float, names: Mapping[str, str] | None = None) -> Row:
    """Return the job's row of the jobs table; ``names`` are names of assets by DID, as far as
    they are known.
    """
    known = names or {}
    inputs = " ".join(f"{did} {known.get(did, '')}" for did in view.inputs)
    cells = (
        f"{view.mark} {short(view.id)}",
        view.state,
        one_line(known.get(view.algorithm) or short(view.algorithm)),
        lasting(view.took(now)),
        view.reason,
        moment(view.created),
    )
    return Row(view.id, cells, view.tone, f"{view.algorithm} {inputs}")
