"""Results on stdout: a document with ``--json``, otherwise text and tables that read well and paste well."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sandbox.cli.settings import current


def as_json(value: Any) -> Any:
    """Dataclasses, paths and tuples as what JSON knows."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: as_json(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): as_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [as_json(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    return value


def document(value: Any) -> bool:
    """Print ``value`` as JSON if the user asked for it; says whether it did."""
    if not current().json:
        return False
    print(json.dumps(as_json(value), indent=2, default=str))
    return True


def say(text: str = "") -> None:
    """A line of the result."""
    print(text)


def table(headers: Sequence[str], rows: Iterable[Sequence[object]], empty: str = "nothing yet") -> None:
    """Columns as wide as their content; nothing is cut, so that ids can be copied. ``empty`` goes to
    stderr.
    """
    cells = [[_cell(value) for value in row] for row in rows]
    if not cells:
        print(empty, file=sys.stderr)
        return
    widths = [max(len(header), *(len(row[i]) for row in cells)) for i, header in enumerate(headers)]
    for row in [[header.upper() for header in headers], *cells]:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def pairs(items: Mapping[str, object]) -> None:
    """Name and value, aligned."""
    width = max((len(name) for name in items), default=0)
    for name, value in items.items():
        print(f"{name:<{width}}  {_cell(value)}")


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.2f}"
    if isinstance(value, list | tuple):
        return ", ".join(_cell(item) for item in value)
    return str(value)
