"""The only code path that changes anything: confirm, run, show the steps, report the end.

Imported with the first key that needs it: importing dialogs and forms earlier would cost the first paint 40
ms.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tui.actions.action import Action
from tui.actions.run import Advanced, Asked, Run
from tui.dialogs.action import ActionDialog, Question
from tui.dialogs.form import FormDialog
from tui.dialogs.running import RunDialog

if TYPE_CHECKING:
    from tui.app import BoxApp

Then = Callable[[Run], None]


def perform(app: BoxApp, action: Action, then: Then | None) -> None:
    """Ask for confirmation, then run. ``then`` is called with the started run, instead of opening the usual
    dialog.
    """

    def decided(go_on: bool | None) -> None:
        if not go_on:
            return
        run = begin(app, action)
        if then is not None:
            then(run)
        else:
            app.push_screen(RunDialog(run))

    app.push_screen(ActionDialog(action, read_only=app.read_only), decided)


def fill(app: BoxApp, form: FormDialog[Action], then: Then | None) -> None:
    """Show a form, then confirm and run the action that its values make."""
    app.push_screen(form, lambda action: perform(app, action, then) if action is not None else None)


def begin(app: BoxApp, action: Action) -> Run:
    """Run an action that the user has confirmed."""
    run = Run(action, app)
    app.runs.append(run)
    run.start()
    return run


def advanced(app: BoxApp, run: Run) -> None:
    """Forward a run's progress to the screens that show it; at its end, refresh feeds and notify the user."""
    followers = [screen for screen in app.screen_stack if getattr(screen, "run", None) is run]
    for screen in followers:
        screen.post_message(Advanced(run))
    if run.over and run in app.runs:
        app.runs.remove(run)
        if run.problem is None:
            run.action.done(run.result)
        app.feeds.poke(*run.action.pokes)
        if not followers:
            _tell_end(app, run)


def _tell_end(app: BoxApp, run: Run) -> None:
    if run.problem is None:
        app.notify(f"✓ {run.action.title}", markup=False)
    else:
        app.notify(f"✗ {run.problem.code}: {run.problem.message}", severity="error", markup=False)


def asked(app: BoxApp, event: Asked) -> None:
    """Show a running verb's question; its thread blocks until it is answered."""
    said = event.run.board.notes[-60:]
    app.push_screen(Question(event.question, said), lambda yes: event.answer.set_result(bool(yes)))


def leave(app: BoxApp) -> None:
    """Leave the TUI; the box goes on. Confirm first while a verb is running: leaving would end
    it half-way.
    """
    if not app.runs:
        app.exit()
        return
    title = app.runs[-1].action.title.rstrip("?")
    question = f"{title}: this is under way and ends half-way (doing it again goes on). Leave?"
    app.push_screen(Question(question), lambda yes: app.exit() if yes else None)
