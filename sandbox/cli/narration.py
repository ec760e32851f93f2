"""How the event stream of a verb is shown on stderr: a live list on a terminal, plain lines elsewhere, JSON
lines with ``--json``. stdout belongs to the result.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, TypeVar

from sandbox.cli.settings import CliSettings, current
from sandbox.display_text import visible_line, visible_text
from sandbox.progress import Progress, ProgressEvent, run_verb

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

T = TypeVar("T")
Sink = Callable[[ProgressEvent], None]

MARKS = {"started": "→", "progress": "…", "done": "✓", "skipped": "–", "failed": "✗", "note": " "}
COLOURS = {"done": "green", "skipped": "dim", "failed": "red", "note": ""}


def perform_verb(verb: Progress[T]) -> T:
    """Run a verb to its end, narrating; returns its result."""
    with _event_sink(current()) as sink:
        return run_verb(verb, sink)


@contextmanager
def _event_sink(settings: CliSettings) -> Iterator[Sink]:
    """Choose how events are shown. JSON wins over the terminal: a script may well run on one."""
    if settings.json:
        yield json_lines
    elif sys.stderr.isatty() and not settings.no_color and os.environ.get("TERM") != "dumb":
        with _live_list() as sink:
            yield sink
    else:
        yield plain_lines


def json_lines(event: ProgressEvent) -> None:
    """One event as one JSON object on stderr."""
    # Flushed, so that a program that reads the lines sees each when it happens.
    print(json.dumps({"event": asdict(event)}), file=sys.stderr, flush=True)


def plain_lines(event: ProgressEvent) -> None:
    """One event as one line; inner progress is left out, as a log file has no use for it."""
    if event.state == "progress":
        return
    print(describe_event(event), file=sys.stderr, flush=True)


def describe_event(event: ProgressEvent) -> str:
    """The text of an event: mark, what, seconds. A step is one line whatever its name holds."""
    if event.state == "note":
        return visible_text(event.text)
    timing = ""
    if event.seconds is not None:
        timing = (
            f"  (about {event.seconds:.0f} s)" if event.state == "started" else f"  {event.seconds:.1f} s"
        )
    return f"{MARKS[event.state]} {visible_line(event.text or event.step)}{timing}"


@contextmanager
def _live_list() -> Iterator[Sink]:
    """Finished steps scroll by; the steps under way stand below with a spinner, their share and elapsed
    time.
    """
    from rich.console import Console
    from rich.live import Live

    console = Console(stderr=True, highlight=False)
    underway: dict[str, ProgressEvent] = {}
    # Transient: the list of steps under way disappears at the end, and only finished steps stay on the
    # screen.
    with Live(console=console, refresh_per_second=8, transient=True) as live:

        def sink(event: ProgressEvent) -> None:
            _update_list(event, underway, console)
            live.update(_list_picture(underway))

        yield sink


def _update_list(event: ProgressEvent, underway: dict[str, ProgressEvent], console: Console) -> None:
    """Apply one event to the steps under way; a finished one is printed above the live list."""
    from rich.text import Text

    if event.state == "started":
        underway[event.step] = event
        return
    if event.state == "progress":
        # Progress events carry a share but no estimate: that stays as ``started`` gave it.
        begun = underway.get(event.step, event)
        underway[event.step] = ProgressEvent(
            event.step, "progress", event.text or begun.text, event.fraction, begun.seconds, begun.at
        )
        return
    if event.state in ("done", "skipped", "failed"):
        underway.pop(event.step, None)
    console.print(Text(describe_event(event), style=COLOURS[event.state]))


def _list_picture(underway: dict[str, ProgressEvent]) -> RenderableType:
    from rich.console import Group
    from rich.spinner import Spinner
    from rich.text import Text

    # A str would be read as markup, and a name with a bracket in it ended the command.
    return Group(*(Spinner("dots", Text(_underway_text(event))) for event in underway.values()))


def _underway_text(event: ProgressEvent) -> str:
    """Return a step's text, share and estimate on one line."""
    share = f"  {event.fraction:.0%}" if event.fraction is not None else ""
    estimate = f"  of about {event.seconds:.0f} s" if event.seconds else ""
    return f"{visible_line(event.text or event.step)}{share}{estimate}"
