"""An action: one verb that changes something, with the command line that does the same and what it costs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sandbox.progress import Progress

Ask = Callable[[str], bool]


@dataclass(frozen=True)
class UserAction:
    """One change, as the confirmation dialog shows it before it runs. ``title`` is the question; ``effects``
    say what will be done, ``losses`` what will be gone; ``command`` is the command line that does the same.
    ``verb`` gets a function with which it can ask the user while it runs.
    """

    title: str
    command: str
    verb: Callable[[Ask], Progress[Any]]
    effects: tuple[str, ...] = ()
    losses: tuple[str, ...] = ()
    proceed: str = "Do it"
    pokes: tuple[str, ...] = field(default=())
    """Names of the feeds that are asked again once it is done."""
    done: Callable[[Any], None] = lambda _result: None
    """Called with the verb's result, only if the verb succeeded."""
