"""Job states: Ocean's numbers and texts, and ours where Ocean has none.

Clients read ``dateFinished`` and the number; 31 and 32 mean "failed" to ocean.py, so nothing else may use
them.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final, Literal


class State(IntEnum):
    """Ocean's numbers of a job's states, and ours. docs/job-states.md draws the steps between them, and a
    test holds the engine's rules against that drawing."""

    WARMING_UP = 1
    CONFIGURING = 20
    PROVISIONED = 30
    DATA_FAILED = 31
    ALGORITHM_PROVISIONING_FAILED = 32
    RUNNING = 40
    PUBLISHING = 60
    FINISHED = 70
    ALGORITHM_FAILED = 75
    LIMIT_EXCEEDED = 76
    OUTPUTS_REFUSED = 77
    NOT_ISOLATED = 78
    PUBLISHING_FAILED = 79
    QUEUE_TIMEOUT = 80
    INFRASTRUCTURE_LOST = 81


TEXTS: Final[dict[State, str]] = {
    State.WARMING_UP: "Warming up",
    State.CONFIGURING: "Configuring volumes",
    State.PROVISIONED: "Provisioning success",
    State.DATA_FAILED: "Data provisioning failed",
    State.ALGORITHM_PROVISIONING_FAILED: "Algorithm provisioning failed",
    State.RUNNING: "Running algorithm ",
    State.PUBLISHING: "Publishing results",
    State.FINISHED: "Job finished",
    State.ALGORITHM_FAILED: "Algorithm failed",
    State.LIMIT_EXCEEDED: "Algorithm exceeded a limit",
    State.OUTPUTS_REFUSED: "Outputs refused",
    State.NOT_ISOLATED: "Isolation not proven, algorithm not started",
    State.PUBLISHING_FAILED: "Publishing failed",
    State.QUEUE_TIMEOUT: "Queue time exceeded",
    State.INFRASTRUCTURE_LOST: "Infrastructure lost",
}
"""The text of 40 ends in a blank because the original's does and clients compare."""

FINAL: Final = frozenset(
    {
        State.DATA_FAILED,
        State.ALGORITHM_PROVISIONING_FAILED,
        State.FINISHED,
        State.ALGORITHM_FAILED,
        State.LIMIT_EXCEEDED,
        State.OUTPUTS_REFUSED,
        State.NOT_ISOLATED,
        State.PUBLISHING_FAILED,
        State.QUEUE_TIMEOUT,
        State.INFRASTRUCTURE_LOST,
    }
)
"""Numbers that never change any more. Clients that poll must stop at each of them."""

Phase = Literal["Queued", "Configuring", "Running", "Publishing", "Finished"]
"""The coarse state for people, as ``kubectl get workflows`` shows it."""


def state_text(code: int) -> str:
    """Return the text of a number; a number of another version gets a text as well, not an error."""
    try:
        return TEXTS[State(code)]
    except ValueError:
        return "Unknown status"


def state_phase(code: int) -> Phase:
    """Return the coarse state of a number. Numbers grow along a job's life, except that ends are told by the
    set."""
    # Ends first: 31 and 32 are smaller than the numbers of stages that come after staging.
    if code in FINAL:
        return "Finished"
    if code >= State.PUBLISHING:
        return "Publishing"
    if code >= State.RUNNING:
        return "Running"
    return "Configuring" if code >= State.CONFIGURING else "Queued"


class Stop(IntEnum):
    """The cause of a job's early end, as ``stopreq`` in Ocean's status object."""

    NONE = 0
    ASKED = 1
    TIME_LIMIT = 2
