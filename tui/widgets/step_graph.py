"""Draws the steps of a verb: groups that are under way step by step, finished ones as one line.

A boot has dozens of steps; collapsing what is over keeps what matters now on one screen.
"""

from __future__ import annotations

from rich.text import Text
from textual.widgets import Static

from tui.actions.step_board import OVER, StepBoard, StepGroup, StepState
from tui.widgets.text import duration_text, one_line, safe_text

MARKS = {"started": "→", "progress": "…", "done": "✓", "skipped": "–", "failed": "✗"}
# Cells of a step's bar.
BAR = 12


def board_lines(board: StepBoard, now: float) -> Text:
    """Return the graph as text; a group that ended without failure is one line."""
    drawn = Text(no_wrap=True, overflow="ellipsis")
    for group in board.groups.values():
        _draw_group(drawn, group, now)
    # A build may write thousands of notes; the newest explain what is going on.
    for note in board.notes[-200:]:
        drawn.append(f"{safe_text(note)}\n")
    drawn.rstrip()
    return drawn


def _draw_group(drawn: Text, group: StepGroup, now: float) -> None:
    """Draw a group: one line once it is over, all steps while it runs or if one failed."""
    count = len(group.steps)
    if group.is_over and not group.has_failed:
        drawn.append(f"✓ {group.name:<10} ", "bold")
        drawn.append(
            f"{count} step{'s' if count != 1 else ''}  {duration_text(group.total_seconds)}\n", "dim"
        )
        return
    ended = sum(step.state in OVER for step in group.steps.values())
    drawn.append(f"{'✗' if group.has_failed else '▶'} {group.name:<10} {ended}/{count}\n", "bold")
    steps = list(group.steps.values())
    for position, step in enumerate(steps):
        drawn.append(
            f"  {'└' if position == len(steps) - 1 else '├'} {_step_line(step, now)}\n", _step_style(step)
        )


def _step_line(step: StepState, now: float) -> str:
    """Return a step's line: its time when it is over, a bar where the share is known, else elapsed and
    estimate.
    """
    text = f"{MARKS.get(step.state, ' ')} {one_line(step.text)}"
    if step.state in OVER:
        return f"{text}  {duration_text(step.seconds)}" if step.seconds is not None else text
    if step.fraction is not None:
        full = round(step.fraction * BAR)
        return f"{text}  {'█' * full}{'░' * (BAR - full)} {step.fraction:.0%}"
    estimate = f" of about {step.estimate:.0f} s" if step.estimate else ""
    # A clock that was set back must not show a negative duration.
    return f"{text}  {duration_text(max(now - step.began, 0.0))}{estimate}"


def _step_style(step: StepState) -> str:
    """Return a step's style. What is over steps back, and what failed stands out in bold also without
    colours.
    """
    return {"done": "dim", "skipped": "dim", "failed": "bold red"}.get(step.state, "")


class StepGraph(Static):
    """The widget that draws a :class:`StepBoard`. It has no clock of its own: whoever shows it calls
    :meth:`redraw_board`."""

    def __init__(self, board: StepBoard, id: str | None = None) -> None:
        super().__init__(id=id, markup=False)
        self.board = board

    def redraw_board(self, now: float) -> None:
        """Draw the board as it is at ``now``, in the clock's seconds: running steps show how long they have
        taken.
        """
        self.update(board_lines(self.board, now))
