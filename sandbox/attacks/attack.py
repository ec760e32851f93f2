"""Defines an attack, and the values that its checks look at once its job has ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from c2d_box.workflow.states import State

BREACH = 99
"""Exit code with which a program of the battery says that it got through. Its word is believed only in this
direction: a program that lies about its success must not pass for contained.
"""

RULES = {"maxFiles": 3, "maxBytes": 2000, "types": ["csv"], "maxRows": 5}
"""Disclosure rules of the attacks that have some: small tables, no log. The figures are small, so that a few
lines too many are refused already.
"""

Check = Callable[["EndedAttack"], str | None]
"""A function that looks at an ended job and returns the problem as a text, or None."""


@dataclass(frozen=True, slots=True)
class Attack:
    """One algorithm of the battery. Its name is an interface: ``selftest --only NAME``.

    The expected end is part of the attack: a job that fails for another reason proves nothing about the wall
    it was sent against.
    """

    name: str
    group: str
    tries: str
    """Aim of the attack, for people."""
    script: str
    """Python, run after ``prelude.TEXT``; ``attempt`` and ``syscall`` raise the alarm when they succeed."""
    checked: str
    """Way in which its failure is seen from outside, for people."""
    code: State = State.FINISHED
    reason: str = ""
    """Text that must occur in the job's reason."""
    exit_code: int | None = 0
    """Exit code as Kubernetes reports it. None accepts any, or none: a killed process may have no code of its
    own.
    """
    stop: int | None = None
    """``stopreq`` as Ocean's API shows it: 2 where the time limit has to end the job. None is not checked."""
    maxtime: int | None = None
    """Time limit of the job in seconds; None leaves the environment's limit."""
    checks: tuple[Check, ...] = ()
    """Checks besides :data:`sandbox.attacks.checks.ALWAYS`."""
    rules: bool = False
    """Its job is under ``RULES``, as on data of a publisher who has some."""
    slow: bool = False
    """Takes long or much of the machine; left out by ``--quick``."""


@dataclass(frozen=True, slots=True)
class EndedAttack:
    """A job of the battery at its end, with everything that a check may look at. Besides the result store a
    check asks nobody: what it judges is fixed, so the order of the checks does not matter."""

    attack: Attack
    status: Mapping[str, Any]
    """``WorkFlow.status``."""
    read: Callable[[Mapping[str, Any]], bytes]
    """Function that returns the bytes of one of ``results``, from the result store."""
    sentinel: bytes
    """Random text in this job's inputs: a result that has it carries data out."""
    victim: bytes
    """Random text in the inputs of a job that ran beside it."""
    results: list[Mapping[str, Any]] = field(default_factory=list)
    live: str = ""
    """Output of the algorithm's container as Kubernetes showed it while the job ran; read under rules only.
    """

    def of_type(self, kind: str) -> list[Mapping[str, Any]]:
        """Return the results of a type: ``output``, ``algorithmLog`` and so on."""
        return [result for result in self.results if result["type"] == kind]
