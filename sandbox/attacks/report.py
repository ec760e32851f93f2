"""What ``selftest`` says: a row for each attack and for each thing that must hold around them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Verdict:
    name: str
    group: str
    tries: str
    checked: str
    """How it was seen from outside."""
    contained: bool
    problem: str = ""
    code: int | None = None
    """The job's number; None for rows that are no job."""
    text: str = ""
    reason: str = ""
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Report:
    contained: bool
    seconds: float
    verdicts: tuple[Verdict, ...]

    @property
    def failed(self) -> tuple[Verdict, ...]:
        return tuple(verdict for verdict in self.verdicts if not verdict.contained)
