"""What ``selftest`` says: a row for each attack and for each thing that must hold around them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AttackVerdict:
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
class SelftestReport:
    contained: bool
    seconds: float
    verdicts: tuple[AttackVerdict, ...]

    @property
    def failed_verdicts(self) -> tuple[AttackVerdict, ...]:
        return tuple(verdict for verdict in self.verdicts if not verdict.contained)
