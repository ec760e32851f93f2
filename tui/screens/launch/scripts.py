"""The one-command loop from the screens: publish a script and data, permit, run, save the results."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from c2d_box.errors import UsageError
from sandbox.defaults import ENTRYPOINT, IMAGE
from sandbox.loop.running import RunReport, ScriptRun
from tui.actions.action import UserAction
from tui.dialogs.form import FormDialog, FormField, Values

if TYPE_CHECKING:
    from tui.runtime.app_port import AppPort


def script_form(app: AppPort, data: str) -> FormDialog[UserAction]:
    """Return the form of the loop; ``data`` is the DID chosen now, or empty."""
    fields = (
        FormField("script", "Script (ctrl+o picks)", file=True, placeholder="./count.py"),
        FormField("data", "Data: DIDs or files", data, placeholder="did:op:… or ./data.csv"),
        FormField("image", "Image", IMAGE),
        FormField("entrypoint", "Entrypoint", ENTRYPOINT),
    )

    def noted(ran: RunReport) -> None:
        app.note_started(ran.job)

    def action(values: Values) -> UserAction:
        loop, source = _script_loop(app, values), app.source
        return UserAction(
            title=f"Run {loop.script.name}?",
            command=app.command_line(_command_words(loop)),
            verb=lambda ask: source.run_script(loop, ask),
            effects=(
                "publishes what is new, publishes again what changed",
                "asks, with what it is about, before it permits anything",
                f"orders and starts as {loop.who}, follows, saves into ./{loop.folder}",
            ),
            proceed="Run",
            pokes=("jobs", "assets", "permissions", "accounts"),
            done=noted,
        )

    return FormDialog("Run a script", fields, _preview_text, action)


def _script_loop(app: AppPort, values: Values) -> ScriptRun:
    """Return what to run. Raises a ``C2D-RUN-…`` usage error for a missing script or data."""
    # Several datasets are separated as in a shell, so paths with blanks can be quoted.
    script, data = Path(values["script"]).expanduser(), shlex.split(values["data"])
    if not script.is_file():
        raise UsageError("C2D-RUN-NO-FILE", f"{script} is not a file", "give the path of a script")
    if not data:
        raise UsageError("C2D-RUN-NO-DATA", "there is nothing to run on", "give a DID or a file")
    return ScriptRun(script, tuple(data), values["image"], values["entrypoint"], who=app.consumer)


def _preview_text(values: Values) -> str:
    """Return the beginning of the script: the user should see which file is about to be published."""
    script = Path(values["script"]).expanduser()
    if not script.is_file():
        return "no such script yet\n\nc2d-box new algorithm NAME makes one from a template"
    lines = script.read_text(errors="replace").splitlines()
    return "\n".join([f"{script.name}, {len(lines)} lines:", "", *lines[:60]])


def _command_words(loop: ScriptRun) -> str:
    """Return the words of ``c2d-box run``; values that are the defaults are left out."""
    words = ["run", shlex.quote(str(loop.script)), *(f"--data {shlex.quote(each)}" for each in loop.data)]
    words += [f"--image {shlex.quote(loop.image)}"] if loop.image != IMAGE else []
    words += [f"--entrypoint {shlex.quote(loop.entrypoint)}"] if loop.entrypoint != ENTRYPOINT else []
    return " ".join(words)
