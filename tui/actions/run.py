"""A running verb: it has a thread of its own, so it continues when the user changes the screen."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import Any

from textual.message import Message
from textual.message_pump import MessagePump

from c2d_box.errors import C2DError, Failed
from sandbox.progress import ProgressEvent, run_verb
from tui.actions.action import UserAction
from tui.actions.step_board import StepBoard


class RunAdvanced(Message, bubble=False):
    """A run has a new event, or has ended."""

    def __init__(self, run: ActionRun) -> None:
        super().__init__()
        self.run = run


class QuestionAsked(Message, bubble=False):
    """A verb asks the user a question and waits for ``answer``."""

    def __init__(self, run: ActionRun, question: str, answer: Future[bool]) -> None:
        super().__init__()
        self.run, self.question, self.answer = run, question, answer


class RunFollower:
    """A screen that shows a run: it gets the run's :class:`RunAdvanced` messages."""

    def follows_run(self, run: ActionRun) -> bool:
        """Return whether the screen shows this run now."""
        raise NotImplementedError


class ActionRun:
    """One execution of an action. ``listener`` (the app) gets a message for every event.

    The thread writes, the event loop reads. Messages are the only way back, as widgets may not be touched
    from a thread.
    """

    def __init__(self, action: UserAction, listener: MessagePump) -> None:
        self.action = action
        self.board = StepBoard()
        self.over = False
        self.result: Any = None
        self.problem: C2DError | None = None
        self._listener = listener

    def start_thread(self) -> None:
        """Start the verb in a daemon thread, so that leaving the TUI never waits for a verb."""
        threading.Thread(target=self._run_verb, name=f"run {self.action.title}", daemon=True).start()

    def ask_user(self, question: str) -> bool:
        """Put a question to the user; blocks the verb's thread until there is an answer."""
        # Only the verb's thread waits here, never the event loop. If the app ends first, the daemon thread
        # ends with it.
        answer: Future[bool] = Future()
        self._listener.post_message(QuestionAsked(self, question, answer))
        return answer.result()

    def _run_verb(self) -> None:
        try:
            self.result = run_verb(self.action.verb(self.ask_user), self._take_event)
        except C2DError as problem:
            self.problem = problem
        except Exception as surprise:
            # An unexpected error must reach the dialog too: a thread that dies silently would show a run that
            # never ends.
            self.problem = Failed(
                "C2D-DEFECT", f"{type(surprise).__name__}: {surprise}", f"{self.action.command} --debug"
            )
        # Last of all: once ``over`` is seen, result and problem are final.
        self.over = True
        self._listener.post_message(RunAdvanced(self))

    def _take_event(self, event: ProgressEvent) -> None:
        self.board.add_event(event)
        self._listener.post_message(RunAdvanced(self))
