"""Log lines of our services: JSON on stdout, one object per line.

Exception texts are never logged: they may hold keys, documents and signed URLs. Access logs are the
applications' own, with method, path and status only: a query string may hold a signature.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from functools import lru_cache
from typing import Any

from c2d_box.errors import C2DError

_STANDARD = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message"}
"""Attributes of every record; whatever else is there came by ``extra``."""
_CHATTY = ("httpx", "httpcore", "urllib3", "web3", "asyncio", "uvicorn.access")
"""Libraries that log each request or call; a URL among it may hold a signature."""
_FRAMES = 8
"""Lines of code that are listed of an exception, from the innermost on."""
_ENCODER = json.JSONEncoder(default=str)
"""Made once: ``json.dumps`` with a default makes one for each line."""


class JsonLineFormatter(logging.Formatter):
    """Formats a record as time, level, logger, message and whatever ``extra`` was given; an exception as its
    type and the lines of code that it came through."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": f"{_second_text(int(record.created))}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        # ``extra`` becomes keys of the line, so that they can be searched for.
        line |= {key: value for key, value in vars(record).items() if key not in _STANDARD}
        # Type and places only: the text may quote what must not be logged.
        if record.exc_info and record.exc_info[0] is not None:
            line["exception"] = record.exc_info[0].__name__
            line["at"] = _frame_lines(record)
        return _ENCODER.encode(line)


def loggable_text(error: Exception) -> str:
    """As much of an exception as may be logged: a C2DError's own sentence, the system's words for an OSError,
    and of any other its type."""
    if isinstance(error, C2DError):
        return str(error)
    words = error.strerror if isinstance(error, OSError) else None
    return f"{type(error).__name__}: {words}" if words else type(error).__name__


def configure_logging(level: int = logging.INFO) -> None:
    """Makes every logger of the process write JSON lines to stdout."""
    # stdout, where Kubernetes collects logs; stderr has the one object of a failed start.
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonLineFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # No line names them, and looking them up is a tenth of what a line costs.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    for chatty in _CHATTY:
        logging.getLogger(chatty).setLevel(logging.WARNING)


@lru_cache(2)
def _second_text(second: int) -> str:
    """Return the time to the second. Lines of one second share it; two entries, since threads log around the
    turn of one."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))


def _frame_lines(record: logging.LogRecord) -> list[str]:
    """File and line of the innermost frames."""
    frames: list[str] = []
    trace = record.exc_info[2] if record.exc_info else None
    while trace is not None:
        frames.append(f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}")
        trace = trace.tb_next
    return frames[-_FRAMES:]
