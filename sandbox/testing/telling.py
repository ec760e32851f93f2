"""What verbs say goes into pytest's captured output, so that a failure shows how far they got."""

from __future__ import annotations

from sandbox.progress import Event


def told(event: Event) -> None:
    """A line for each event but the mere progress of one."""
    if event.state != "progress":
        print(f"{event.state:<8} {event.step} {event.text}")
