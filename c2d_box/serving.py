"""How a service process of ours runs: JSON log lines on stdout, a clean stop within three seconds of SIGTERM.

Access logs are the applications' own: a query string may hold a signature, so only method, path and
status are logged.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import Any

_STANDARD = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message"}


class JsonLines(logging.Formatter):
    """One object per line: time, level, logger, message, and whatever ``extra`` was given."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
            + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {key: value for key, value in vars(record).items() if key not in _STANDARD}
        if record.exc_info and record.exc_info[0] is not None:
            line["exception"] = record.exc_info[0].__name__
            line["at"] = _places(record)
        return json.dumps(line, default=str)


def configure_logging(level: int = logging.INFO) -> None:
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for chatty in ("httpx", "httpcore", "urllib3", "web3", "asyncio", "uvicorn.access"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


def serve(app: Any, host: str, port: int) -> None:
    """Runs the ASGI ``app`` until SIGTERM or SIGINT; open answers get two seconds to end."""
    import uvicorn

    from c2d_box.connections import BoundedProtocol

    uvicorn.run(
        app,
        host=host,
        port=port,
        http=BoundedProtocol,
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=2,
        timeout_keep_alive=75,  # longer than clients keep an idle connection: they close, not we
        backlog=512,
    )


def _places(record: logging.LogRecord) -> list[str]:
    """File and line of each frame, but not the exception's text: it may hold what must not be logged."""
    places: list[str] = []
    trace = record.exc_info[2] if record.exc_info else None
    while trace is not None:
        places.append(f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}")
        trace = trace.tb_next
    return places[-8:]
