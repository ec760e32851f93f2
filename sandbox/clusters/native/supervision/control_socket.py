"""Connects a user's command to the root supervisor: JSON lines over a unix socket only the owner can open.

A request is one line ``{"verb": …, …}``. The answer is any number of event lines ``{"event": …}`` and one
last line, ``{"result": …}`` or ``{"error": {code, message, next_step}}``.
"""

from __future__ import annotations

import errno
import json
import socket
from collections.abc import Generator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from c2d_box.errors import C2DError, EnvironmentProblem, Failed, Refused, StateProblem, UsageError
from sandbox.progress import ProgressEvent

LONGEST_LINE = 1 << 20
"""Most bytes of a request; asyncio refuses a longer line."""
_KINDS: dict[int, type[C2DError]] = {
    kind.exit_status: kind for kind in (UsageError, EnvironmentProblem, StateProblem, Refused, Failed)
}
"""Kinds of errors by their exit status, so that a command ends as it would without a supervisor between."""


class SupervisorAway(Exception):
    """Raised where nobody answers on the socket, or the answer breaks off: the caller decides what that
    means.
    """


def encode_line(value: dict[str, Any]) -> bytes:
    """Return a message as one line of JSON. JSON escapes line feeds, so a message is always one line."""
    return json.dumps(value).encode() + b"\n"


def event_line(event: ProgressEvent) -> bytes:
    """Return the line for a progress event."""
    return encode_line({"event": asdict(event)})


def error_value(error: C2DError) -> dict[str, Any]:
    """Return the error as the socket carries it; :func:`raise_error` is its inverse."""
    return {**error.as_dict(), "exit_status": error.exit_status}


def unforeseen_error(problem: BaseException, log: Path) -> C2DError:
    """Return the error for the user where no rule foresaw the exception; its traceback is in ``log``."""
    if isinstance(problem, OSError) and problem.errno == errno.ENOSPC:
        return Failed("C2D-DISK-FULL", f"No space left: {problem}.", "Free some space, then try again.")
    said = f"{type(problem).__name__}: {problem}"
    return Failed(
        "C2D-SUPERVISOR-DIED", f"The supervisor met what it cannot handle: {said}", f"Look at {log}."
    )


def raise_error(value: dict[str, Any]) -> None:
    """Raise the error that the supervisor reported, of its own kind."""
    kind = _KINDS.get(int(value.get("exit_status", 1)), Failed)
    raise kind(value["code"], value["message"], value.get("next_step", ""))


def not_yours(home: Path) -> StateProblem:
    """Return the error for a user whom the kernel does not let open the socket or the folder."""
    return StateProblem(
        "C2D-NOT-YOURS",
        f"The box in {home} belongs to another user.",
        "Act as the user who started it, or choose another home with --home.",
    )


def ask_supervisor(path: Path, request: dict[str, Any], timeout: float = 30.0) -> Any:
    """Return the result of one request; events on the way are dropped."""
    conversation = follow_request(path, request, timeout)
    while True:
        try:
            next(conversation)
        except StopIteration as end:
            return end.value


def follow_request(
    path: Path, request: dict[str, Any], timeout: float
) -> Generator[ProgressEvent, None, Any]:
    """Yield the answer's events and return its result. ``timeout`` is between two lines, in seconds."""
    with socket.socket(socket.AF_UNIX) as connection:
        # For each operation: a boot that reports something may take as long as it needs.
        connection.settimeout(timeout)
        try:
            connection.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError) as cause:
            raise SupervisorAway from cause
        except PermissionError as cause:
            # The socket lies in the cluster's folder, and that in the home.
            raise not_yours(path.parent.parent) from cause
        try:
            connection.sendall(encode_line(request))
            with connection.makefile("rb") as stream:
                for line in stream:
                    value = json.loads(line)
                    if "event" in value:
                        yield ProgressEvent(**value["event"])
                    elif "error" in value:
                        raise_error(value["error"])
                    else:
                        return value["result"]
        except (ConnectionResetError, BrokenPipeError) as cause:
            raise SupervisorAway from cause
        except TimeoutError as cause:
            raise StateProblem(
                "C2D-SUPERVISOR-SILENT",
                f"The box's supervisor did not answer within {timeout:.0f} s.",
                "Stop the box with `c2d-box down` and start it again.",
            ) from cause
    raise SupervisorAway
