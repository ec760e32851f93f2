"""Results on stdout: a document with ``--json``, otherwise text and tables that read well and paste well.

What is shown as text passes :mod:`sandbox.display_text`: names and values come from strangers.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sandbox.cli.opening import for_this_box
from sandbox.cli.settings import current
from sandbox.display_text import visible_line, visible_text


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


def print_table(headers: Sequence[str], rows: Iterable[Sequence[object]], empty: str = "nothing yet") -> None:
    """Columns as wide as their content; nothing is cut, so that ids can be copied. ``empty`` goes to
    stderr.
    """
    cells = [[_cell_text(value) for value in row] for row in rows]
    if not cells:
        # stdout stays empty, so that ``wc -l`` of no rows is 0.
        print(empty, file=sys.stderr)
        return
    widths = [max(len(header), *(len(row[i]) for row in cells)) for i, header in enumerate(headers)]
    for row in [[header.upper() for header in headers], *cells]:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


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
