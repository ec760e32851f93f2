"""The conditions of a WorkFlow, for ``kubectl wait`` and ``kubectl describe``. No decision depends on them.

They follow from the stages' moments and the job's number alone, so they can be made anew at every write and
never contradict them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from c2d_box.workflow import states
from c2d_box.workflow.states import State

_REACHED: Final = {
    "Admitted": ("admitted", "PlaceGiven", "The job has a place in its environment."),
    "Staged": ("staged", "InputsInPlace", "Inputs and algorithm are on the job's volume."),
    "Isolated": ("started", "NetworkClosed", "The warden has proven the network closed and let it start."),
    "AlgorithmEnded": ("ended", "ConfirmedByKubernetes", "The algorithm's container does not run any more."),
    "Published": ("uploaded", "ResultsStored", "Results and logs are in the result store."),
    "Registered": ("registered", "AssetOnTheChain", "The results are an asset of their owner's."),
    "Cleaned": ("cleaned", "NothingLeft", "Pods, volume and secrets of the job are gone."),
    "Expired": ("expired", "StorageTimeOver", "Results and logs were removed from the result store."),
}
"""For each condition the moment that it follows from, its reason (one word by Kubernetes' convention) and
its message."""
_AFTERWARDS: Final = ("Cleaned", "Expired")
"""Conditions that come true after the end of the job; listed last, in the order of a job's life."""
MESSAGE_LENGTH: Final = 1000
"""Characters of a message. Kubernetes allows 32,768; the status has to fit into one object with the
results."""


def derive_conditions(times: Mapping[str, str], code: int, reason: str | None) -> list[dict[str, Any]]:
    """Return the conditions in the order of a job's life. ``Finished`` says that the job is over,
    ``Succeeded`` whether it ended well.
    """
    found = [
        _condition(kind, True, times[moment], word, message)
        for kind, (moment, word, message) in _REACHED.items()
        # A moment that is not reached has no condition: ``kubectl wait`` waits for one that is not there,
        # too.
        if moment in times and kind not in _AFTERWARDS
    ]
    if "finished" in times:
        # Two conditions, because ``kubectl wait`` asks for one that is true: any end, or a good one.
        at, word = times["finished"], _word(states.state_text(code))
        found.append(_condition("Finished", True, at, word, reason or ""))
        found.append(_condition("Succeeded", code == State.FINISHED, at, word, reason or ""))
    for kind in _AFTERWARDS:
        moment, word, message = _REACHED[kind]
        if moment in times:
            found.append(_condition(kind, True, times[moment], word, message))
    return found


def _condition(kind: str, holds: bool, since: str, word: str, message: str) -> dict[str, Any]:
    """Return one condition in the form of the Kubernetes API conventions. ``since`` is the moment itself: a
    condition changes once and never back."""
    return {
        "type": kind,
        "status": "True" if holds else "False",
        "reason": word,
        "message": message[:MESSAGE_LENGTH],
        "lastTransitionTime": since,
    }


def _word(text: str) -> str:
    """Return a state's text as one word, as a condition's reason must be."""
    return "".join(part.capitalize() for part in text.replace(",", "").split()) or "Unknown"
