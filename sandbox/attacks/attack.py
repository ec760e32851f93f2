"""What an attack is, and what is known about its job once that has ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from c2d_box.workflow.states import State

BREACH = 99
"""Exit code with which a program of the battery says that it got through."""

RULES = {"maxFiles": 3, "maxBytes": 2000, "types": ["csv"], "maxRows": 5}
"""Disclosure rules: small tables, no log."""

Check = Callable[["EndedAttack"], str | None]
"""Looks at what is left; returns what is wrong, None where all is well."""


@dataclass(frozen=True, slots=True)
class Attack:
    """One algorithm of the battery. Its name is an interface: ``selftest --only NAME``."""

    name: str
    group: str
    tries: str
    """What it is after, for people."""
    script: str
    """Python, run after ``prelude.TEXT``; ``attempt`` and ``syscall`` raise the alarm when they succeed."""
    checked: str
    """How its failure is seen from outside, for people."""
    code: State = State.FINISHED
    reason: str = ""
    """Must stand in the job's reason."""
    exit_code: int | None = 0
    """As Kubernetes reports it; None: any, or none."""
    stop: int | None = None
    """The wire's ``stopreq``; 2 where the time limit has to end it."""
    maxtime: int | None = None
    checks: tuple[Check, ...] = ()
    rules: bool = False
    """Its job is under ``RULES``, as on data of a publisher who has some."""
    slow: bool = False
    """Takes long or much of the machine; left out by ``--quick``."""


@dataclass(frozen=True, slots=True)
class EndedAttack:
    """A job of the battery at its end."""

    attack: Attack
    status: Mapping[str, Any]
    """``WorkFlow.status``."""
    read: Callable[[Mapping[str, Any]], bytes]
    """The bytes of one of ``results``, from the result store."""
    sentinel: bytes
    """What stood in this job's inputs."""
    victim: bytes
    """What stands in the inputs of a job that ran beside it."""
    results: list[Mapping[str, Any]] = field(default_factory=list)
    live: str = ""
    """What Kubernetes showed of the algorithm's container while it ran; looked at under rules."""

    def of_type(self, kind: str) -> list[Mapping[str, Any]]:
        return [result for result in self.results if result["type"] == kind]
