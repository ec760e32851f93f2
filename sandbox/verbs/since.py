"""Parses a moment in the past as users write it: ``30m``, ``2h``, ``3d``, or a date."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime

from c2d_box.errors import UsageError

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_DURATION = re.compile(r"(\d{1,9})([smhdw])")


def parse_since(text: str, now: float | None = None) -> float:
    """Return the moment in seconds since 1970; raise UsageError for what is neither a duration nor a date.

    A date without a zone is UTC, as all times that the product prints.
    """
    if duration := _DURATION.fullmatch(text.strip().lower()):
        return (time.time() if now is None else now) - int(duration[1]) * _SECONDS[duration[2]]
    try:
        moment = datetime.fromisoformat(text.strip())
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError) as problem:
        raise UsageError(
            "C2D-USAGE", f"{text} is no time", "write 30m, 2h, 3d, or a date such as 2026-01-31"
        ) from problem
