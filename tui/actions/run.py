"""A running verb: it has a thread of its own, so it continues when the user changes the screen."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import Any

from textual.message import Message
from textual.message_pump import MessagePump

from c2d_box.errors import C2DError, Failed
from sandbox.progress import Event, run
from tui.actions.action import Action
from tui.actions.step_board import StepBoard


class Advanced(Message, bubble=False):
    """A run has a new event, or has ended."""

    def __init__(self, run: Run) -> None:
        super().__init__()
        self.run = run


class Asked(Message, bubble=False):
    """A verb asks the user a question and waits for ``answer``."""

    def __init__(self, run: Run, question: str, answer: Future[bool]) -> None:
        super().__init__()
        self.run, self.question, self.answer = run, question, answer


class RunFollower:
    """A screen that shows a run: it gets the run's :class:`Advanced` messages."""

    def follows(self, run: Run) -> bool:
        """Return whether the screen shows this run now."""
        raise NotImplementedError


class Run:
    """One execution of an action. ``listener`` (the app) gets a message for every event."""

    def __init__(self, action: Action, listener: MessagePump) -> None:
        self.action = action
        self.board = StepBoard()
        self.over = False
        self.result: Any = None
        self.problem: C2DError | None = None
        self._listener = listener

    def start(self) -> None:
        """Start the verb in a daemon thread, so that leaving the TUI never waits for a verb."""
        threading.Thread(target=self._drive, name=f"run {self.action.title}", daemon=True).start()

    def ask(self, question: str) -> bool:
        """Put a question to the user; blocks the verb's thread until there is an answer."""
        answer: Future[bool] = Future()
        self._listener.post_message(Asked(self, question, answer))
        return answer.result()

    def _drive(self) -> None:
        try:
            self.result = run(self.action.verb(self.ask), self._heard)
        except C2DError as problem:
            self.problem = problem
        except Exception as surprise:
            self.problem = Failed(
                "C2D-DEFECT", f"{type(surprise).__name__}: {surprise}", f"{self.action.command} --debug"
            )
        self.over = True
        self._listener.post_message(Advanced(self))

    def _heard(self, event: Event) -> None:
        self.board.fold(event)
        self._listener.post_message(Advanced(self))
