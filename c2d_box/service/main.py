"""The ``main`` of a service: it reads the settings, runs the service, and reports a failure.

A failure is one JSON object on stderr (``code``, ``message``, ``next_step``), and the exit status is that of
its kind (``errors.py``): 2 for settings that cannot be used. There is no traceback, because it quotes
exception texts, which may hold keys, documents and signed URLs: an unforeseen exception is one log line
with its type and the lines of code it came through, and exit status 1.

pydantic is imported when settings are read: other verbs of a service's program run without it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from c2d_box.errors import C2DError, UsageError
from c2d_box.service.json_logging import configure_logging
from c2d_box.strict_json import JsonRefused, parse_json

if TYPE_CHECKING:
    from pydantic import BaseModel

log = logging.getLogger("c2d.service")
S = TypeVar("S", bound="BaseModel")
"""A service's own type of settings."""
Work = Callable[[], None]
"""The service itself: it returns when a signal has stopped it."""


def service_parser(module: str, description: str) -> argparse.ArgumentParser:
    """Return the command line of a service: ``--config FILE``, to which the service may add options."""
    parser = argparse.ArgumentParser(prog=f"python3 -m {module}", description=description)
    parser.add_argument("--config", type=Path, required=True, help="the settings, as JSON")
    return parser


def run_service(
    parser: argparse.ArgumentParser,
    settings_type: type[S],
    prepare: Callable[[S, argparse.Namespace], Work],
    arguments: list[str] | None = None,
) -> int:
    """Run a service until a signal stops it, and return its exit status. ``prepare`` opens what the settings
    name and returns the work itself; an OSError that it raises is reported as a fault of the settings."""
    options = parser.parse_args(arguments)

    def work() -> None:
        settings = load_settings(settings_type, options.config)
        try:
            prepared = prepare(settings, options)
        except OSError as error:
            # Files that the settings name are opened here, so an OSError is mostly a wrong path.
            place = f" ({error.filename})" if error.filename else ""
            raise _unusable_settings(options.config, f"{error.strerror}{place}") from error
        prepared()

    # Before the settings are read, so that also their failure leaves in the one format.
    configure_logging()
    return exit_status(work)


def load_settings(settings_type: type[S], path: Path) -> S:
    """Read a service's settings. Raise UsageError that names the first wrong key, but not its value."""
    # Here and not at the top, see above.
    from pydantic import ValidationError

    try:
        return settings_type.model_validate(parse_json(path.read_bytes()))
    except OSError as error:
        text = f"cannot read {path}: {error.strerror}"
        raise UsageError("C2D-CONFIG-UNREADABLE", text, "Put the settings there.") from error
    except JsonRefused as error:
        raise _unusable_settings(path, error.reason) from None
    except ValidationError as error:
        # Without the input: the wrong value may be a key that was pasted into the wrong line.
        first = error.errors(include_input=False)[0]
        raise _unusable_settings(path, f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None


def exit_status(work: Work) -> int:
    """Do the work, report its failure, and return the exit status of the process."""
    try:
        with contextlib.suppress(KeyboardInterrupt):
            work()
    except C2DError as error:
        cause = type(error.__cause__).__name__ if error.__cause__ else None
        print(json.dumps({**error.as_dict(), "cause": cause}), file=sys.stderr)
        return error.exit_status
    except Exception as error:
        # A group of tasks raises a group, whose own lines of code say nothing about the failure.
        while isinstance(error, ExceptionGroup):
            error = error.exceptions[0]
        # The formatter writes type and lines of code, and not the text.
        log.error("the service ended", exc_info=error)
        return 1
    return 0


def stop_event() -> asyncio.Event:
    """Return an event of the running loop that SIGTERM and SIGINT set."""
    event = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        # Of the loop, not of ``signal``: a handler of that could run in the middle of any statement.
        asyncio.get_running_loop().add_signal_handler(number, event.set)
    return event


def _unusable_settings(path: Path, reason: str) -> UsageError:
    return UsageError("C2D-CONFIG-INVALID", f"{path}: {reason}", "Correct the settings.")
