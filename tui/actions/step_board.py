"""The step graph of a verb, folded from its events. Groups of steps that are under way are shown step by
step, finished ones as one line.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from rich.text import Text
from textual.widgets import Static

from sandbox.progress import Event
from tui.widgets.text import lasting, one_line, safe

MARKS = {"started": "→", "progress": "…", "done": "✓", "skipped": "–", "failed": "✗"}
OVER = ("done", "skipped", "failed")
BAR = 12


@dataclass(slots=True)
class Step:
    """The latest state of a step, from its last event."""

    name: str
    text: str
    state: str
    began: float
    fraction: float | None = None
    seconds: float | None = None
    estimate: float | None = None


@dataclass(slots=True)
class Group:
    """Steps that share the first part of their name, in the order in which they came."""

    name: str
    steps: dict[str, Step] = field(default_factory=dict)

    @property
    def over(self) -> bool:
        return all(step.state in OVER for step in self.steps.values())

    @property
    def failed(self) -> bool:
        return any(step.state == "failed" for step in self.steps.values())

    @property
    def seconds(self) -> float:
        return max((step.seconds or 0.0 for step in self.steps.values()), default=0.0)


class StepBoard:
    """All groups of steps, and the notes between them."""

    def __init__(self) -> None:
        self.groups: dict[str, Group] = {}
        self.notes: list[str] = []

    def fold(self, event: Event) -> None:
        """Update the groups or the notes with one event."""
        if event.state == "note":
            self.notes.append(safe(event.text))
            return
        name = event.step.partition(".")[0]
        group = self.groups.setdefault(name, Group(name))
        step = group.steps.get(event.step)
        if step is None:
            step = group.steps[event.step] = Step(event.step, event.text or event.step, "started", event.at)
        step.text = event.text or step.text
        step.state = event.state
        step.fraction = event.fraction
        if event.state == "started":
            step.began, step.estimate = event.at, event.seconds
        else:
            step.seconds = event.seconds if event.seconds is not None else step.seconds

    def lines(self, now: float) -> Text:
        """Return the graph as text; a group that ended without failure is one line."""
        drawn = Text(no_wrap=True, overflow="ellipsis")
        for group in self.groups.values():
            _group(drawn, group, now)
        for note in self.notes[-200:]:
            drawn.append(f"{note}\n")
        drawn.rstrip()
        return drawn


def _group(drawn: Text, group: Group, now: float) -> None:
    count = len(group.steps)
    if group.over and not group.failed:
        drawn.append(f"✓ {group.name:<10} ", "bold")
        drawn.append(f"{count} step{'s' if count != 1 else ''}  {lasting(group.seconds)}\n", "dim")
        return
    ended = sum(step.state in OVER for step in group.steps.values())
    drawn.append(f"{'✗' if group.failed else '▶'} {group.name:<10} {ended}/{count}\n", "bold")
    steps = list(group.steps.values())
    for position, step in enumerate(steps):
        drawn.append(f"  {'└' if position == len(steps) - 1 else '├'} {_step(step, now)}\n", _style(step))


def _step(step: Step, now: float) -> str:
    text = f"{MARKS.get(step.state, ' ')} {one_line(step.text)}"
    if step.state in OVER:
        return f"{text}  {lasting(step.seconds)}" if step.seconds is not None else text
    if step.fraction is not None:
        full = round(step.fraction * BAR)
        return f"{text}  {'█' * full}{'░' * (BAR - full)} {step.fraction:.0%}"
    estimate = f" of about {step.estimate:.0f} s" if step.estimate else ""
    return f"{text}  {lasting(max(now - step.began, 0.0))}{estimate}"


def _style(step: Step) -> str:
    return {"done": "dim", "skipped": "dim", "failed": "bold red"}.get(step.state, "")


class StepGraph(Static):
    """The widget that draws a :class:`StepBoard`."""

    def __init__(self, board: StepBoard, id: str | None = None) -> None:
        super().__init__(id=id, markup=False)
        self.board = board

    def redraw(self, now: float) -> None:
        self.update(self.board.lines(now))
