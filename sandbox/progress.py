"""Defines the one event stream that every long verb yields and that CLI, ``--json`` and TUI render.

A verb is a generator: it yields :class:`ProgressEvent` and *returns* its result.
:func:`run_verb` drives one with a sink.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Literal, TypeVar

State = Literal["started", "progress", "done", "skipped", "failed", "note"]
"""``note`` is a message outside any step; ``skipped`` a step that was not needed. The values are part of
``--json``.
"""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ProgressEvent:
    """One thing that happened. ``step`` is a stable dotted name such as ``bundle.kubernetes``."""

    step: str
    state: State
    text: str = ""
    fraction: float | None = None
    """Share of the step that is done, 0..1, where it is known."""
    seconds: float | None = None
    """Elapsed seconds of the step; on ``started``, the estimate if one is known."""
    at: float = field(default_factory=time.time)
    """Unix seconds (UTC)."""


Progress = Generator[ProgressEvent, None, T]
"""The type that a verb returns: a generator of events whose return value is the verb's result."""


def run_verb(verb: Progress[T], sink: Callable[[ProgressEvent], None]) -> T:
    """Drive ``verb`` to its end, give each event to ``sink``, return the verb's result.

    An exception of the sink leaves the generator suspended; it is closed, and cleans up, when it is
    collected.
    """
    while True:
        try:
            event = next(verb)
        except StopIteration as stop:
            result: T = stop.value
            return result
        sink(event)


def run_step(name: str, text: str, work: Callable[[], T]) -> Progress[T]:
    """Run ``work`` as a step without inner progress: started, then done or failed, with elapsed seconds.

    ``work`` blocks the generator: nothing is shown, and no stop is noticed, until it returns.
    """
    began = time.monotonic()
    yield ProgressEvent(name, "started", text)
    try:
        result = work()
    # Ctrl-C too must close the step, or the screen would show it as running for ever.
    except BaseException:
        yield ProgressEvent(name, "failed", text, seconds=time.monotonic() - began)
        raise
    yield ProgressEvent(name, "done", text, seconds=time.monotonic() - began)
    return result
