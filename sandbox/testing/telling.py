"""Prints the events of verbs into pytest's captured output, so that a failure shows how far they got."""

from __future__ import annotations

from sandbox.progress import ProgressEvent


def print_event(event: ProgressEvent) -> None:
    """Print a line for each event, except for those that only report progress within a step."""
    if event.state != "progress":
        print(f"{event.state:<8} {event.step} {event.text}")
