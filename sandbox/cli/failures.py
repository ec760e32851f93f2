"""The one renderer of errors: code, what is wrong, next step; and the exit status that says the same to
scripts.

==== =======================================================================
0    done
1    something that should work did not (``Failed``), or a defect of ours
2    the caller asked for something that cannot be (``UsageError``)
3    the machine lacks something (``EnvironmentProblem``)
4    the box is not in the state the command needs (``StateProblem``)
5    a rule said no: permission, order, policy (``Refused``)
130  interrupted by Ctrl-C
141  the reader of stdout went away
==== =======================================================================

With ``--json`` the last line on stderr is ``{"error": {code, message, next_step, cause, …}}``.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Mapping

import click

from c2d_box.errors import C2DError, UsageError
from sandbox.cli.opening import for_this_box
from sandbox.cli.settings import CliSettings
from sandbox.display_text import visible_text

INTERRUPTED = 130


def report_problem(problem: BaseException, settings: CliSettings) -> int:
    """Tell the user about ``problem`` on stderr; returns the exit status."""
    if isinstance(problem, KeyboardInterrupt | click.Abort):
        _print_error(
            C2DError(
                "C2D-INTERRUPTED",
                "interrupted; nothing was rolled back",
                "run the same command again: every step can be resumed",
            ),
            settings,
        )
        return INTERRUPTED
    error = _as_coded(problem)
    if settings.debug:
        traceback.print_exception(problem)
    _print_error(error, settings)
    return error.exit_status


def _as_coded(problem: BaseException) -> C2DError:
    """Return any error as one with a code. What nobody foresaw becomes ``C2D-DEFECT``: a user should report
    it and not guess.
    """
    if isinstance(problem, C2DError):
        return problem
    if isinstance(problem, click.ClickException):
        command = getattr(problem, "ctx", None)
        # The help of the very command that was mistyped says most.
        path = command.command_path if command else "c2d-box"
        return UsageError("C2D-USAGE", problem.format_message(), f"{path} --help")
    if isinstance(problem, PermissionError):
        error = C2DError(
            "C2D-PERMISSION",
            f"no permission for {problem.filename or 'an operation'}",
            "run as the user who owns the box's home (c2d-box status shows it)",
        )
        error.__cause__ = problem
        return error
    defect = C2DError(
        "C2D-DEFECT",
        f"c2d-box met something it does not understand: {type(problem).__name__}: {problem}",
        "this is a defect of c2d-box; run again with --debug and report what it prints",
    )
    defect.__cause__ = problem
    return defect


def _print_error(error: C2DError, settings: CliSettings) -> None:
    # One line on stderr: stdout stays empty, or holds a document that was complete before.
    if settings.json:
        document = {**error.as_dict(), "next_step": for_this_box(error.next_step, settings)}
        print(json.dumps({"error": document}, default=str), file=sys.stderr)
        return
    bold, red, plain = _error_colours(settings)
    print(
        f"{red}{error.code}{plain}: {bold}{visible_text(for_this_box(error.message, settings))}{plain}",
        file=sys.stderr,
    )
    # The cause is only worth a line if the message does not say it already.
    if error.__cause__ is not None and str(error.__cause__) not in error.message:
        print(f"  because: {visible_text(error.__cause__)}", file=sys.stderr)
    for name, value in error.details.items():
        _print_detail(name, value)
    if error.next_step:
        print(f"  next:    {visible_text(for_this_box(error.next_step, settings))}", file=sys.stderr)


def _print_detail(name: str, value: object) -> None:
    """Print one detail, on one line or as a list. Values come from services and strangers, so they are made
    safe.
    """
    if isinstance(value, Mapping) and "rule" in value:  # a tree of reasons, as a refusal carries it
        from sandbox.demo.story import reason_lines

        value = list(reason_lines(value))
    parts = [str(part) for part in value] if isinstance(value, list | tuple) else str(value).split("\n")
    lines = [visible_text(part) for part in parts]
    if len(lines) == 1:
        print(f"  {name.replace('_', ' ') + ':':<8} {lines[0]}", file=sys.stderr)
    elif lines:
        print(f"  {name.replace('_', ' ')}:", file=sys.stderr)
        for line in lines:
            print(f"    {line}", file=sys.stderr)


def _error_colours(settings: CliSettings) -> tuple[str, str, str]:
    # NO_COLOR counts whatever its value (no-color.org).
    if settings.no_color or "NO_COLOR" in os.environ or not sys.stderr.isatty():
        return "", "", ""
    return "\033[1m", "\033[31m", "\033[0m"
