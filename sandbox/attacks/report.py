"""The result of ``selftest``: a row for each attack and for each thing that must hold around them.

Names of fields are those of ``selftest --json``, so scripts depend on them.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AttackVerdict:
    """One row: whether an attack was contained, and how its job ended. Bystanders and the box itself get rows
    of the same kind, so that one loop prints and counts them all.
    """

    name: str
    group: str
    tries: str
    checked: str
    """Way in which the failure of the attack was seen from outside."""
    contained: bool
    problem: str = ""
    """Reason why it does not count as contained; empty where it does."""
    code: int | None = None
    """The job's status number; None for rows that are no job."""
    text: str = ""
    reason: str = ""
    seconds: float | None = None
    """Seconds from start to verdict, where they were measured."""


@dataclass(frozen=True, slots=True)
class SelftestReport:
    """All rows, and whether every one of them is contained. ``seconds`` is the time of the whole run."""

    contained: bool
    seconds: float
    verdicts: tuple[AttackVerdict, ...]

    @property
    def failed_verdicts(self) -> tuple[AttackVerdict, ...]:
        """Return the rows that are not contained, in the order in which they ended."""
        return tuple(verdict for verdict in self.verdicts if not verdict.contained)
