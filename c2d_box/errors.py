"""One exception tree for everything a user can see.

    C2DError
    ├── UsageError          the caller asked for something that cannot be (exit 2)
    ├── EnvironmentProblem  the machine lacks something (exit 3)
    ├── StateProblem        the box is not in the state the verb needs (exit 4)
    ├── Refused             a rule said no: permission, order, policy (exit 5)
    └── Failed              something that should work did not (exit 1)

Every error has a stable code (``C2D-…``), a sentence saying what is wrong, and a next step. The code is
an interface: scripts match on it, so it never changes its meaning. Exit statuses are part of the CLI's
interface.
"""

from __future__ import annotations

from typing import ClassVar


class C2DError(Exception):
    """A problem with a stable ``code``, a ``message`` and a ``next_step`` a user can take."""

    exit_status: ClassVar[int] = 1

    def __init__(self, code: str, message: str, next_step: str = "", **details: object) -> None:
        # The code is in the text too, for logs that print the exception alone.
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.next_step = next_step
        self.details = details

    def as_dict(self) -> dict[str, object]:
        """Return the error as ``--json`` prints it: code, message, next_step, cause and details."""
        return {
            "code": self.code,
            "message": self.message,
            "next_step": self.next_step,
            # Only a cause that was chained on purpose (``from``): a context may quote what no user should
            # see.
            "cause": str(self.__cause__) if self.__cause__ else None,
            # Details last and beside the rest, so that scripts find, say, ``errors`` without another level.
            **self.details,
        }


class UsageError(C2DError):
    """The caller asked for something that cannot be, such as an unknown value or unusable settings."""

    exit_status = 2


class EnvironmentProblem(C2DError):
    """The machine lacks something that the verb needs."""

    exit_status = 3


class StateProblem(C2DError):
    """The box is not in the state that the verb needs."""

    exit_status = 4


class Refused(C2DError):
    """A rule said no: a permission, an order or a policy."""

    exit_status = 5


class Failed(C2DError):
    """Something that should work did not."""

    exit_status = 1
