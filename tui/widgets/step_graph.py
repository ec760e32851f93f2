"""Draws the steps of a verb: groups that are under way step by step, finished ones as one line."""

from __future__ import annotations

from rich.text import Text
from textual.widgets import Static

from tui.actions.step_board import OVER, Group, Step, StepBoard
from tui.widgets.text import lasting, one_line, safe

MARKS = {"started": "→", "progress": "…", "done": "✓", "skipped": "–", "failed": "✗"}
BAR = 12


def board_lines(board: StepBoard, now: float) -> Text:
    """Return the graph as text; a group that ended without failure is one line."""
    drawn = Text(no_wrap=True, overflow="ellipsis")
    for group in board.groups.values():
        _group(drawn, group, now)
    for note in board.notes[-200:]:
        drawn.append(f"{safe(note)}\n")
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
        self.update(board_lines(self.board, now))
