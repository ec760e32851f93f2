"""The only code path that changes anything: confirm, run, show the steps, report the end.

Imported with the first key that needs it: importing dialogs and forms earlier would cost the first paint 40
ms.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tui.actions.action import UserAction
from tui.actions.run import ActionRun, QuestionAsked, RunAdvanced, RunFollower
from tui.dialogs.action import ActionDialog, Question
from tui.dialogs.running import RunDialog
from tui.runtime.app_port import port_of

if TYPE_CHECKING:
    from textual.app import App
    from textual.screen import Screen

Then = Callable[[ActionRun], None]


class ActionRunner:
    """Owns the runs of an application; ``runs`` are those under way, in the order in which they began.

    A run belongs to the application and not to a screen: closing a dialog or changing the screen does not end
    it.
    """

    def __init__(self, app: App[None]) -> None:
        self.runs: list[ActionRun] = []
        self._app, self._port = app, port_of(app)

    def perform_action(self, action: UserAction, then: Then | None) -> None:
        """Ask for confirmation, then run. ``then`` is called with the started run, instead of opening the
        usual dialog.

        In a read-only TUI the dialog shows the action and offers no way to go on.
        """

        def decided(go_on: bool | None) -> None:
            if not go_on:
                return
            run = self.begin_action(action)
            if then is not None:
                then(run)
            else:
                self._app.push_screen(RunDialog(run))

        self._app.push_screen(ActionDialog(action, read_only=self._port.read_only), decided)

    def fill_form(self, form: Screen[UserAction | None], then: Then | None) -> None:
        """Show a form, then confirm and run the action that its values make.

        A form that is left without values gives None, and nothing follows.
        """
        self._app.push_screen(
            form, lambda action: self.perform_action(action, then) if action is not None else None
        )

    def begin_action(self, action: UserAction) -> ActionRun:
        """Run an action that the user has confirmed.

        The run starts in a thread of its own, since verbs block for seconds to minutes.
        """
        run = ActionRun(action, self._app)
        # Before the thread starts: its first message may arrive at once, and must find the run here.
        self.runs.append(run)
        run.start_thread()
        return run

    def forward_run(self, run: ActionRun) -> None:
        """Forward a run's progress to the screens that show it; at its end, refresh feeds and notify the
        user.
        """
        followers = [
            screen
            for screen in self._app.screen_stack
            if isinstance(screen, RunFollower) and screen.follows_run(run)
        ]
        for screen in followers:
            # A message and no call: a screen that is being closed drops it, where a call would find its
            # widgets gone.
            screen.post_message(RunAdvanced(run))
        # The thread sets ``over`` before its last message, so two messages may find a run at its end. Its end
        # is reported once.
        if run.over and run in self.runs:
            self.runs.remove(run)
            if run.problem is None:
                run.action.done(run.result)
            # Also after a failure: the verb may have got half-way.
            self._port.feeds.refresh_feeds(*run.action.pokes)
            # Nobody watches this run any more, so only a notice can tell how it ended.
            if not followers:
                self._tell_end(run)

    def _tell_end(self, run: ActionRun) -> None:
        """Notify the user of a run's end; texts of errors hold names of strangers and are no markup."""
        if run.problem is None:
            self._app.notify(f"✓ {run.action.title}", markup=False)
        else:
            problem = f"{run.problem.code}: {run.problem.message}"
            self._app.notify(f"✗ {problem}", severity="error", markup=False)

    def put_question(self, asked: QuestionAsked) -> None:
        """Show a running verb's question; its thread blocks until it is answered."""
        # A question refers to the notes before it (a list of packages, a diff of permissions): they are shown
        # with it.
        said = asked.run.board.notes[-60:]
        self._app.push_screen(Question(asked.question, said), lambda yes: asked.answer.set_result(bool(yes)))

    def leave_app(self) -> None:
        """Leave the TUI; the box goes on. Confirm first while a verb is running: leaving would end
        it half-way.
        """
        if not self.runs:
            self._app.exit()
            return
        # The newest run stands for all.
        title = self.runs[-1].action.title.rstrip("?")
        question = f"{title}: this is under way and ends half-way (doing it again goes on). Leave?"
        self._app.push_screen(Question(question), lambda yes: self._app.exit() if yes else None)
