"""Makes untrusted text safe to show, and holds the few formats that all screens share.

An algorithm may print escape sequences that move the cursor, retitle the window or write the clipboard:
:mod:`sandbox.display_text` makes them visible. Nothing is read as markup.
"""

from __future__ import annotations

import time

from rich.text import Text

from sandbox.display_text import visible_text


def safe_text(value: object) -> str:
    """Return ``value`` as text without terminal control sequences; line feeds stay, tabs become blanks."""
    return visible_text(value).replace("\t", "    ")


def one_line(value: object) -> str:
    """Return the text of :func:`safe_text` on one line."""
    return safe_text(value).replace("\n", " ")


def plain_text(value: object, style: str = "") -> Text:
    """Return a renderable in which markup of ``value`` has no effect: rich would read ``[bold]`` or
    ``[@click=…]`` in a plain string.
    """
    return Text(safe_text(value), style=style)


def short_id(identifier: str, head: int = 8) -> str:
    """Return an id or DID shortened to ``head`` characters for a table. Two characters more are left as they
    are: the ellipsis would save nothing.
    """
    body = identifier.removeprefix("did:op:")
    return one_line(body if len(body) <= head + 2 else f"{body[:head]}…")


def utc_text(value: object) -> str:
    """Return Unix seconds as UTC month, day and time of day, ``-`` for none. UTC as in all logs of the box,
    so that times can be compared.
    """
    return time.strftime("%m-%d %H:%M:%S", time.gmtime(float(str(value)))) if value else "-"


def duration_text(seconds: float) -> str:
    """Return a duration in seconds as short text: two units at most. Tables sort by this format, see
    ``_NUMBER`` in :mod:`tui.widgets.live_table`.
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    if seconds < 3600:
        return f"{int(seconds // 60)} m {int(seconds % 60)} s"
    return f"{int(seconds // 3600)} h {int(seconds % 3600 // 60)} m"


def age_text(seconds: float) -> str:
    """Return an age in coarse steps: every new text repaints its pane, so seconds would flicker."""
    if seconds < 5:
        return "now"
    if seconds < 60:
        return f"{int(seconds) // 5 * 5} s ago"
    return f"{int(seconds // 60)} min ago" if seconds < 3600 else f"{int(seconds // 3600)} h ago"


def size_text(count: object) -> str:
    """Return a number of bytes with its unit, in powers of 1000. A missing number counts as 0."""
    number = float(str(count or 0))
    for unit in ("B", "kB", "MB"):
        if number < 1000:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} GB"
