"""Results on stdout: a document with ``--json``, otherwise text and tables that read well and paste well.

What is shown as text passes :mod:`sandbox.display_text`: names and values come from strangers.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import sys
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sandbox.cli.opening import for_this_box
from sandbox.cli.settings import current
from sandbox.display_text import visible_line, visible_text

COLUMNS = 80
"""Width of tables where there is no terminal."""
GAP = "  "
# Less of a name or an address tells nobody anything.
NARROWEST = 8


def as_json(value: Any) -> Any:
    """Dataclasses, paths and tuples as what JSON knows; jobs as their Provider wrote them."""
    # A job's ``--json`` is the Provider's object with the wire's names, which Ocean's clients know
    # (docs/cli.md).
    if (wire := getattr(value, "wire", None)) is not None:
        return as_json(wire)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: as_json(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): as_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [as_json(item) for item in value]
    if isinstance(value, Path):
        return visible_line(value)
    return value


def print_json(value: Any) -> bool:
    """Print ``value`` as JSON if the user asked for it; says whether it did."""
    if not current().json:
        return False
    print(json.dumps(as_json(value), indent=2, default=str))
    return True


def print_text(text: str = "") -> None:
    """A line of the result, or several."""
    # Commands named in the text are completed for this box before it is made safe.
    print(visible_text(for_this_box(text)))


def print_foreign(text: str) -> None:
    """Several lines of a stranger, such as a log: nothing is obeyed, and no word is changed."""
    print(visible_text(text))


def print_line(value: object) -> None:
    """One value on one line: a path or name of a stranger forges no second line."""
    print(visible_line(value))


def print_value(name: object, value: object) -> None:
    """``name = value``, indented, on one line whatever they hold."""
    print(f"    {visible_line(name)} = {visible_line(value)}")


def print_content(data: bytes) -> None:
    """Bytes of a stranger: exact into a file or pipe, made visible on a terminal."""
    if sys.stdout.isatty():
        print(visible_text(data.decode(errors="replace")))
    else:
        # A terminal would obey control sequences; a file must have the very bytes.
        sys.stdout.buffer.write(data)


def print_table(
    headers: Sequence[str],
    rows: Iterable[Sequence[object]],
    empty: str = "nothing yet",
    flexible: Collection[str] = (),
) -> None:
    """Columns as wide as their content. Where they do not fit the terminal (80 columns without one), the
    ``flexible`` ones are cut, with a mark; ``--wide`` cuts nothing. ``empty`` goes to stderr.
    """
    cells = [[_cell_text(value) for value in row] for row in rows]
    if not cells:
        # stdout stays empty, so that ``wc -l`` of no rows is 0.
        print(empty, file=sys.stderr)
        return
    widths = [max(len(header), *(len(row[i]) for row in cells)) for i, header in enumerate(headers)]
    if flexible and not is_wide():
        widths = _fit_widths(headers, widths, flexible)
    for row in [[header.upper() for header in headers], *cells]:
        shown = (_cut_text(cell, width).ljust(width) for cell, width in zip(row, widths, strict=True))
        print(GAP.join(shown).rstrip())


def is_wide() -> bool:
    """Return whether the user asked for tables in full."""
    return current().wide


def age_text(moment: float, now: float | None = None) -> str:
    """Return how long ago a moment was, in its largest unit, as kubectl writes it; ``-`` for none.

    A test chain's clock may be ahead: such a moment is now.
    """
    if not moment:
        return "-"
    seconds = max(0.0, (time.time() if now is None else now) - moment)
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        # Two units' worth, so that 100 minutes are not shown as one hour.
        if seconds >= 2 * length:
            return f"{seconds / length:.0f}{unit}"
    return f"{seconds:.0f}s"


def time_text(moment: float) -> str:
    """Return a moment in UTC; ``-`` for none."""
    return time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(moment)) if moment else "-"


def _fit_widths(headers: Sequence[str], widths: list[int], flexible: Collection[str]) -> list[int]:
    """Return widths that fit the terminal as far as the flexible columns allow; the widest gives first."""
    # Without a terminal a fixed width: a table in a file does not depend on who wrote it.
    available = shutil.get_terminal_size().columns if sys.stdout.isatty() else COLUMNS
    excess = sum(widths) + len(GAP) * (len(widths) - 1) - available
    fitted = list(widths)
    while excess > 0:
        movable = [
            at
            for at, name in enumerate(headers)
            if name in flexible and fitted[at] > max(len(name), NARROWEST)
        ]
        if not movable:
            break
        fitted[max(movable, key=lambda at: fitted[at])] -= 1
        excess -= 1
    return fitted


def _cut_text(text: str, width: int) -> str:
    """Return a text that is not longer than ``width``; the mark says that there is more."""
    return text if len(text) <= width else f"{text[: width - 1]}…"


def print_pairs(items: Mapping[str, object]) -> None:
    """Name and value, aligned."""
    width = max((len(name) for name in items), default=0)
    for name, value in items.items():
        print(f"{name:<{width}}  {_cell_text(value)}")


def _cell_text(value: object) -> str:
    """Return a cell's text on one line; two decimals are for people, ``--json`` has all digits."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.2f}"
    if isinstance(value, list | tuple):
        return ", ".join(_cell_text(item) for item in value)
    return visible_line(value)
