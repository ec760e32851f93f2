"""The steps of a verb, folded from its events; :mod:`tui.widgets.step_graph` draws them."""

from __future__ import annotations

from dataclasses import dataclass, field

from sandbox.progress import ProgressEvent

OVER = ("done", "skipped", "failed")


@dataclass(slots=True)
class StepState:
    """The latest state of a step, from its last event."""

    name: str
    text: str
    state: str
    began: float
    fraction: float | None = None
    seconds: float | None = None
    estimate: float | None = None


@dataclass(slots=True)
class StepGroup:
    """Steps that share the first part of their name, in the order in which they came."""

    name: str
    steps: dict[str, StepState] = field(default_factory=dict)

    @property
    def is_over(self) -> bool:
        return all(step.state in OVER for step in self.steps.values())

    @property
    def has_failed(self) -> bool:
        return any(step.state == "failed" for step in self.steps.values())

    @property
    def total_seconds(self) -> float:
        """The duration of the longest step, as steps of a group run side by side."""
        return max((step.seconds or 0.0 for step in self.steps.values()), default=0.0)


class StepBoard:
    """All groups of steps, and the notes between them. Written by the verb's thread, drawn by the
    event loop.
    """

    def __init__(self) -> None:
        self.groups: dict[str, StepGroup] = {}
        self.notes: list[str] = []

    def add_event(self, event: ProgressEvent) -> None:
        """Update the groups or the notes with one event."""
        if event.state == "note":
            self.notes.append(event.text)
            return
        # Steps are named ``group.step``: ``image.provider`` and ``image.cache`` stand together.
        name = event.step.partition(".")[0]
        group = self.groups.setdefault(name, StepGroup(name))
        step = group.steps.get(event.step)
        if step is None:
            step = group.steps[event.step] = StepState(
                event.step, event.text or event.step, "started", event.at
            )
        # Progress events may leave out the text, and a step that fails without one keeps what it was doing.
        step.text = event.text or step.text
        step.state = event.state
        step.fraction = event.fraction
        if event.state == "started":
            # On ``started`` the seconds are an estimate; on every other event they are the time it took.
            step.began, step.estimate = event.at, event.seconds
        else:
            step.seconds = event.seconds if event.seconds is not None else step.seconds
